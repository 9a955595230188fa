"""What another package adds is found by its name and used like what is here; `docs/extending.md` does what it says."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages import Outcome, arasuji, install, run

from arasuji import models, plugins, tokenizers
from arasuji.corpus import Record
from arasuji.errors import OptionError
from arasuji.evaluation import kept
from arasuji.inspection.fit import fit

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
WHOLE = "class Config: ...\ndef build(*given): ...\ndef load(*given): ...\nFAMILY = object()\n"
"""A module that has all that a family or a tokenizer defines, and does nothing."""


def documented(page: str) -> dict[str, str]:
    """The code blocks of a page of documentation, each under the file name in its first line."""
    blocks = re.findall(
        r"^```\w+\n# (\S+)\n(.*?)^```$", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return dict(blocks)


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    return documented("extending.md")


@pytest.fixture(scope="module")
def site(page: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, installed."""
    project = tomllib.loads(page["pyproject.toml"])
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in project["project"]["entry-points"].items()
    )
    modules = {name: page[f"{name}.py"] for name in project["tool"]["setuptools"]["py-modules"]}
    return install(tmp_path_factory.mktemp("installed"), project["project"]["name"], modules, points)


@pytest.fixture(scope="module")
def trained(page: dict[str, str], site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small corpus, and a run of the page's experiment on it."""
    folder = tmp_path_factory.mktemp("trained")
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines()
    (folder / "few.jsonl").write_text("\n".join(lines[:60]), "utf-8")
    (folder / "window.toml").write_text(page["window.toml"], "utf-8")
    _done(arasuji("prepare", folder / "few.jsonl", "--out", folder / "corpus"))
    settings = ("--set", "model.window=6", "--set", "train.max_length=200", "--max-steps", 4)
    command = ("train", folder / "window.toml", "--corpus", folder / "corpus", "--out", folder / "run", *settings)
    _done(arasuji(*command, site=site))
    return folder


def _done(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_a_run_of_a_family_and_a_tokenizer_from_outside_writes_and_scores(trained: Path, site: Path) -> None:
    written = _done(arasuji("generate", trained / "run", "After years", "--max-length", 20, "--json", site=site))
    (sample,) = json.loads(written)["samples"]
    assert 0 < sample["tokens"] <= 20
    command = ("evaluate", trained / "run", "--corpus", trained / "corpus", "--json")
    assert 0 < json.loads(_done(arasuji(*command, site=site)))["bits_per_byte"] < 9
    assert json.loads((trained / "run" / "best" / "config.json").read_text())["options"]["window"] == 6


def test_inspect_looks_at_a_tokenizer_from_outside_as_well(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    text = "A baker finds a key. A baker loses a key."
    (row,) = [row for row in fit([Record(str(n), text) for n in range(3)]) if row.tokenizer == "bytes"]
    assert row.tokens == 3 * (len(text) + 1)


def test_a_run_whose_package_is_gone_is_refused_in_one_line_that_names_the_family(trained: Path) -> None:
    assert "unknown model family 'window'" in arasuji("generate", trained / "run", "After years").complaint


def test_the_documented_family_keeps_the_promises_of_all_families(site: Path) -> None:
    suite = str(ROOT / "tests" / "models" / "test_conformance.py")
    kept = _done(
        run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), suite, "-k", "window", site=site)
    )
    assert re.search(r"\b1[0-9] passed, (\d+ skipped, )?\d+ deselected", kept), kept


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.text(st.characters(codec="utf-8"), max_size=20))
def test_the_documented_tokenizer_loses_nothing(site: Path, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        module = tokenizers.kind("bytes")
    made = module.build(module.Config(), [], None)
    ids = made.encode(text)
    assert made.decode(ids) == text
    assert made.end_id not in ids
    assert all(0 <= i < made.vocabulary_size for i in ids)
    spans = made.spans(text)
    assert len(spans) == len(ids)
    assert "".join(text[start:end] for start, end in spans) == text


def test_the_documented_rule_is_one(tmp_path: Path) -> None:
    found = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "rules.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    install(tmp_path / "site", "my-rules", {"my_rules": found[0]}, "[arasuji.rules]\nmine = my_rules\n")
    assert "shouting" in _done(arasuji("rules", site=tmp_path / "site"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs packages for this process: `installed(name, module, code, entry points)`."""

    def put(name: str, module: str, code: str, points: str) -> None:
        monkeypatch.syspath_prepend(str(install(tmp_path / name, name, {module: code}, points)))

    return put


@pytest.mark.parametrize(
    ("group", "ask", "kind"),
    [(plugins.FAMILIES, models.family, "model family"), (plugins.TOKENIZERS, tokenizers.kind, "tokenizer")],
)
def test_what_is_wrong_with_a_package_is_one_line_that_names_it(installed, group, ask, kind) -> None:
    installed("my-broken", "broken_at_import", "import no_such_module\n", f"[{group}]\nbroken = broken_at_import\n")
    installed("my-half", "half_a_module", "Config = None\n", f"[{group}]\nhalf = half_a_module\n")
    installed("my-whole", "whole_module", WHOLE, f"[{group}]\nwhole = whole_module\n")
    assert ask("whole")
    with pytest.raises(OptionError, match=r"^the package 'my-broken' cannot be loaded: 'broken_at_import'.*No module"):
        ask("broken")
    with pytest.raises(OptionError, match=f"^the package 'my-half' has a {kind} 'half' without "):
        ask("half")
    with pytest.raises(OptionError, match=f"unknown {kind} 'whale'; did you mean 'whole'"):
        ask("whale")


@pytest.mark.parametrize("group", [plugins.FAMILIES, plugins.TOKENIZERS])
def test_a_name_that_is_taken_is_refused_in_one_line_that_names_both_packages(installed, group) -> None:
    names = models.families if group == plugins.FAMILIES else tokenizers.names
    own = names()[0]
    installed("my-first", "first_module", WHOLE, f"[{group}]\nmine = first_module\n")
    assert "mine" in names()
    installed("my-second", "second_module", WHOLE, f"[{group}]\nmine = second_module\n")
    with pytest.raises(OptionError, match=r"^the package '(my-first|my-second)' has a .* 'mine', and so has 'my-"):
        names()
    installed("my-third", "third_module", WHOLE, f"[{group}]\n{own} = third_module\n")
    with pytest.raises(
        OptionError, match=rf"^the package 'my-third' has a .* '{own}', and so has 'arasuji'; uninstall"
    ):
        names()


def test_a_module_with_an_underscore_is_no_family() -> None:
    assert not [name for name in [*models.families(), *tokenizers.names()] if name.startswith("_")]
    with pytest.raises(OptionError, match="unknown model family '_layers'"):
        models.family("_layers")


def test_kept_answers_are_asked_anew_when_the_code_of_a_package_changes(installed, tmp_path) -> None:
    before = kept._code.__wrapped__()
    installed("my-whole", "whole_again", WHOLE, f"[{plugins.FAMILIES}]\nwhole = whole_again\n")
    added = kept._code.__wrapped__()
    (tmp_path / "my-whole" / "whole_again.py").write_text(WHOLE + "# changed\n")
    assert len({before, added, kept._code.__wrapped__()}) == 3


def test_a_package_that_is_a_folder_has_all_its_files_as_sources(installed, tmp_path) -> None:
    installed("my-folder", "unused", "", f"[{plugins.RULES}]\nmine = folder_of_rules.first\n")
    folder = tmp_path / "my-folder" / "folder_of_rules"
    folder.mkdir()
    for name in ("__init__", "first", "second"):
        (folder / f"{name}.py").touch()
    assert [path.name for path in plugins.sources()] == ["__init__.py", "first.py", "second.py"]
    shutil.rmtree(folder)
    assert list(plugins.sources()) == []
