"""An explanation says what the engine does: which token it takes, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arasuji import models
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.documents import document_of
from arasuji.errors import PromptError
from arasuji.generation.engine import Engine, Finished, Request, Token
from arasuji.generation.explain import explain

SETTINGS = [
    {},
    {"temperature": 0},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.01},
    {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_length": 10, "top_k": 50},
    {"temperature": 1.4, "top_p": 0.5},
]


@pytest.fixture(params=models.families())
def model(request, make, words):
    return make(request.param, words)


def asked(words, seed: int, **settings) -> Request:
    document = document_of(Record("", "The old keeper"), words, whole=False)
    return Request(document, SamplingConfig(**{"max_length": 15} | settings), seed)


def written_by_the_engine(model, words, request: Request) -> list[int]:
    engine = Engine(model, words)
    engine.submit(request)
    events = []
    while engine.busy or engine.waiting:
        events += engine.step()
    (end,) = [event for event in events if isinstance(event, Finished)]
    return end.ids


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_explained_steps_one_after_another_are_the_text_that_the_engine_writes(model, words, settings):
    request = asked(words, seed=5, **settings)
    whole = written_by_the_engine(model, words, request)
    for place, token in enumerate(whole):
        found = explain(model, words, replace(request, written=tuple(whole[:place])))
        assert found.chosen == token


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_number_falls_into_the_part_of_the_token_that_is_drawn(model, words, settings):
    for seed in range(10):
        found = explain(model, words, asked(words, seed, **settings))
        (chosen,) = [row for row in found.candidates if row.id == found.chosen]
        if settings.get("temperature") == 0:
            assert found.number is None
            assert chosen.final == 1
        else:
            assert found.number is not None
            assert chosen.low - 1e-6 <= found.number <= chosen.low + chosen.final + 1e-6


def test_shares_add_up_and_each_cut_takes_what_it_says(make, words):
    model = make("lstm", words)
    settings = {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.01}
    found = explain(model, words, asked(words, 0, **settings), count=words.vocabulary_size)
    rows = found.candidates
    assert found.others == 0
    for stage in ("raw", "ruled", "tempered", "final"):
        assert sum(getattr(row, stage) for row in rows) == pytest.approx(1, abs=1e-4)
    assert [cut.setting for cut in found.cuts] == ["top_k", "top_p", "min_p"]
    left = len(rows) - found.forbidden
    for cut in found.cuts:
        left -= sum(row.cut_by == cut.setting for row in rows)
        assert cut.kept == left
    assert found.cuts[0].kept == 20
    best = sorted((row.tempered for row in rows), reverse=True)[:20]
    assert found.cuts[0].share == pytest.approx(sum(best), abs=1e-4)
    assert all((row.final > 0) == (row.cut_by == "") for row in rows)


def test_few_candidates_and_the_drawn_one_are_named_and_the_rest_is_counted(make, words):
    found = explain(make("ngram", words), words, asked(words, 3), count=4)
    assert len(found.candidates) in (4, 5)
    assert found.chosen in {row.id for row in found.candidates}
    assert found.others == words.vocabulary_size - len(found.candidates)
    assert sum(row.raw for row in found.candidates) + found.rest_raw == pytest.approx(1, abs=1e-4)


def test_a_text_goes_on_as_if_it_had_not_been_stopped(model, words):
    for settings in SETTINGS:
        request = replace(asked(words, seed=2, **settings), streamed=True)
        whole = written_by_the_engine(model, words, request)
        for place in range(0, len(whole), 4):
            engine = Engine(model, words)
            engine.submit(replace(request, written=tuple(whole[:place])))
            events = []
            while engine.busy or engine.waiting:
                events += engine.step()
            assert [event.token for event in events if isinstance(event, Token)] == whole[place:]
            assert events[-1].ids == whole


def test_a_text_that_has_all_its_tokens_is_refused(make, words):
    model = make("lstm", words)
    request = replace(asked(words, 0, max_length=3), written=(5, 6, 7))
    with pytest.raises(PromptError, match="has 3 tokens, and it may have 3"):
        Engine(model, words).submit(request)


def test_what_is_streamed_after_the_written_tokens_is_what_they_lack(make, words):
    model = make("transformer", words)
    request = replace(asked(words, 1), streamed=True)
    engine = Engine(model, words)
    engine.submit(request)
    whole = []
    while engine.busy or engine.waiting:
        whole += engine.step()
    tokens = [event for event in whole if isinstance(event, Token)]
    engine.submit(replace(request, written=tuple(event.token for event in tokens[:6])))
    more = []
    while engine.busy or engine.waiting:
        more += engine.step()
    assert [e.text for e in more if isinstance(e, Token)] == [event.text for event in tokens[6:]]
