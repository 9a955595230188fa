"""Models are opened once, and those that are not used are let go where memory is short."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from arasuji import api
from arasuji.errors import OptionError
from arasuji.studio.shelf import Shelf


@pytest.fixture
def memory(monkeypatch):
    """The free memory, as the system says."""
    said = SimpleNamespace(available=2**40)
    monkeypatch.setattr("arasuji.studio.shelf.psutil.virtual_memory", lambda: said)
    return said


def test_a_model_is_opened_once(runs, memory):
    shelf = Shelf(runs, rows=4)
    assert shelf.open("told") is shelf.open("told")
    assert shelf.exact("told") is shelf.exact("told")
    with pytest.raises(OptionError, match="did you mean 'told'"):
        shelf.open("tolt")


def test_models_that_nobody_uses_are_let_go_where_memory_is_short(runs, memory):
    shelf = Shelf(runs, rows=4)
    told = shelf.open("told")
    exact = shelf.exact("told")
    memory.available = 0
    shelf.open("ngram")
    assert shelf.open("told") is not told
    assert shelf.exact("told") is not exact


def test_a_model_that_writes_is_kept_however_short_memory_is(runs, memory):
    shelf = Shelf(runs, rows=4)
    told = shelf.open("told")
    memory.available = 0
    ngram = shelf.open("ngram", lambda opened: opened is told)
    assert (shelf.open("told"), shelf.open("ngram")) == (told, ngram)


def test_a_newer_best_model_of_a_run_is_opened_anew(runs, corpus, tmp_path, memory):
    settings = ["tokenizer.size=400", "model.hidden=24", "model.embedding=16"]
    list(api.train_events("lstm-small", corpus, tmp_path / "own", max_steps=1, settings=settings))
    shelf = Shelf(tmp_path, rows=4)
    first = shelf.open("own")
    assert shelf.open("own") is first
    list(api.train_events("lstm-small", corpus, tmp_path / "own", max_steps=4, resume=True))
    assert shelf.open("own") is not first
