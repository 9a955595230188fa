"""What is kept is given again, and only to who asks the same of the same files and the same code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from arasuji import bases
from arasuji.evaluation import kept as module
from arasuji.evaluation.answer import Part
from arasuji.evaluation.kept import kept
from arasuji.runs import mark_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(bases, "home", lambda: tmp_path)
    return tmp_path


class Answer(Part):
    value: int


def asked(question):
    """Whether the question had been answered before."""
    answer, before = kept(question, lambda: Answer(value=1), Answer)
    assert answer == Answer(value=1)
    return before


def test_an_answer_is_found_once(home):
    assert [asked([1, "a"]), asked([1, "a"]), asked([1, "b"])] == [False, True, False]


def test_an_answer_is_found_again_by_other_code(home, tmp_path, monkeypatch):
    assert not asked("question")
    package = tmp_path / "arasuji"
    shutil.copytree(Path(module.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "__file__", str(package / "evaluation" / "kept.py"))
    module._code.cache_clear()
    try:
        assert asked("question")  # wherever the package is
        with (package / "generation" / "sampling.py").open("a") as file:
            file.write("\n")
        module._code.cache_clear()
        assert not asked("question")
    finally:
        module._code.cache_clear()


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"value": "x"}', '{"value": 1, "more": 1}', '{"value": NaN}'])
def test_an_answer_that_is_damaged_or_something_else_is_found_again(home, content):
    asked("question")
    for path in (home / "compare").iterdir():
        path.write_text(content, "utf-8")
    assert [asked("question"), asked("question")] == [False, True]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "merges.txt"])
def test_a_model_is_another_one_when_a_file_of_it_has_changed_in_place(tmp_path, name):
    run = tmp_path / "run"
    (run / "best").mkdir(parents=True)
    for file in ("model.safetensors", "config.json", "merges.txt"):
        (run / "best" / file).write_text('{"a": 1}', "utf-8")
    before = mark_of(str(run))
    assert mark_of(str(shutil.copytree(run, tmp_path / "copy"))) == before
    (run / "best" / name).write_text('{"a": 2}', "utf-8")
    assert mark_of(str(run)) != before
