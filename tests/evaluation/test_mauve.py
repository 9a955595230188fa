"""What MAUVE is meant to catch, and that nothing needs it."""

from __future__ import annotations

import pytest

from arasuji.corpus.script import words_of
from arasuji.errors import BaseModelError
from arasuji.evaluation import mauve as module
from arasuji.evaluation.mauve import mauve

COUNT, LENGTH = 60, 40


@pytest.fixture(scope="module")
def sets(starter_texts):
    """Real texts, and as many others."""
    texts = [words_of(text)[:LENGTH] for text in starter_texts[: 2 * COUNT]]
    return texts[:COUNT], texts[COUNT:]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(module, "kept", lambda asked, find: (find(), False))


def test_real_texts_are_near_real_ones_and_bad_ones_far_off(sets):
    real, others = sets
    assert mauve(others, real) > 0.8
    assert mauve([(words[:4] * LENGTH)[:LENGTH] for words in others], real) < 0.1
    assert mauve([others[0]] * COUNT, real) < 0.1


def test_it_is_the_same_each_time_and_writes_nothing_on_the_terminal(sets, capfd, monkeypatch):
    kept = mauve(*sets)
    monkeypatch.setattr(module, "kept", lambda asked, find: (find(), False))
    assert mauve(*sets) == kept
    assert capfd.readouterr() == ("", "")


def test_there_is_no_figure_without_the_package_or_the_model(sets, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "find_spec", lambda name: None)
        assert mauve(*sets) is None

    def unreachable(name):
        raise BaseModelError("no such model here")

    monkeypatch.setattr(module, "mark_of", unreachable)
    module._mark.cache_clear()
    assert mauve(*sets) is None
    module._mark.cache_clear()
