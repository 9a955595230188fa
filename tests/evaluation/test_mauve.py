"""What MAUVE is meant to catch, and that nothing needs it or fetches what it needs."""

from __future__ import annotations

import pytest

from arasuji import bases
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
    monkeypatch.setattr(module, "kept", lambda asked, find, kind: (find(), False))


def test_real_texts_are_near_real_ones_and_bad_ones_far_off(sets):
    real, others = sets
    assert mauve(others, real) > 0.8
    assert mauve([(words[:4] * LENGTH)[:LENGTH] for words in others], real) < 0.1
    assert mauve([others[0]] * COUNT, real) < 0.1


def test_it_is_the_same_each_time_and_writes_nothing_on_the_terminal(sets, capfd):
    first = mauve(*sets)
    module._vectors.cache_clear()
    assert mauve(*sets) == first
    assert capfd.readouterr() == ("", "")


def test_there_is_no_figure_without_the_package(sets, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert mauve(*sets) is None
    assert "`pip install mauve-text`" in module.missing()


def test_a_model_that_is_not_on_this_machine_is_not_fetched_and_its_command_is_named(sets, monkeypatch, tmp_path):
    asked = []

    def answer(*arguments, **options):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(bases, "home", lambda: tmp_path)
    monkeypatch.setattr(bases, "_gguf", lambda base: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", answer)
    module._reader_folder.cache_clear()
    try:
        assert mauve(*sets) is None
        assert "`arasuji models get smollm2-135m`" in module.missing()
        assert asked == []
    finally:
        module._reader_folder.cache_clear()
    with pytest.raises(BaseModelError):
        bases.find(module.READER)  # which may fetch it
    assert asked
