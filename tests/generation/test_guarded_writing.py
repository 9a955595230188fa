"""Nobody's sentence is written: whoever writes, and with whom, no long sequence of words is a training text's."""

from __future__ import annotations

import pytest
import torch
from scored_models import training_of

from arasuji import models
from arasuji.config import SamplingConfig
from arasuji.corpus.originality import copied
from arasuji.corpus.script import words_of
from arasuji.generation.decode import Redrawn, decode
from arasuji.generation.guard import CopyRule, forbidden_copies
from arasuji.generation.pieces import pieces_of
from arasuji.generation.texts import NEXT_SEED, TOO_NEAR, Options, Request, Sample
from arasuji.generation.words import WordProcessor

LONGEST = 3
PROMPTS = ["", "After years the", "spike"]
WAYS = ["lstm", "mixture", "ngram", "transformer", "lstm in 8 bits", "transformer in 8 bits"]


def settings(**more) -> SamplingConfig:
    return SamplingConfig.model_validate({"temperature": 0.5, "max_length": 20} | more)


def guard_of(training, tokenizer, longest: int) -> WordProcessor:
    pieces = pieces_of(tokenizer)
    return WordProcessor(pieces, [CopyRule(forbidden_copies(training, pieces, longest))])


def written(model, words, requests, config, guarded=None, **more) -> list[Sample]:
    guards = [guard_of(guarded, words, LONGEST)] if guarded else []
    events = list(decode(model, Options(words, config, processors=guards, **more), requests))
    return sorted((event for event in events if isinstance(event, Sample)), key=lambda sample: sample.index)


@pytest.fixture(params=WAYS)
def model(request, make, words, tmp_path):
    family, _, light = request.param.partition(" in ")
    made = make(family, words)
    if not light:
        return made
    for folder in ("whole", "light"):
        (tmp_path / folder).mkdir()
    made.save(tmp_path / "whole")
    models.family(family).quantize(tmp_path / "whole", tmp_path / "light")
    return models.family(family).load(tmp_path / "light", torch.int8)


@pytest.mark.parametrize("beams", [1, 3])
def test_no_long_sequence_of_a_training_text_is_written(model, words, beams):
    config = settings(num_beams=beams)
    requests = [Request(PROMPTS[i % len(PROMPTS)], i) for i in range(9)]  # fewer than make a formula
    own = training_of(*(sample.text for sample in written(model, words, requests, config)))
    again = written(model, words, requests, config, guarded=own)
    longest = [copied(sample.text, own, len(sample.prompt)).longest for sample in again]
    assert max(longest) == LONGEST  # it comes as near as it may
    assert [written(model, words, [r], config, guarded=own)[0].text for r in requests] == [s.text for s in again]


def test_what_stands_in_many_texts_is_a_formula_and_may_be_written(make, words):
    model, config = make("ngram", words), settings(temperature=0)
    (sample,) = written(model, words, [Request("", 0)], config)
    assert written(model, words, [Request("", 0)], config, guarded=training_of(*[sample.text] * 10))[0] == sample
    assert written(model, words, [Request("", 0)], config, guarded=training_of(*[sample.text] * 9))[0] != sample


def test_a_text_that_is_very_near_to_a_training_text_is_drawn_again(make, words):
    model, config = make("lstm", words), settings(temperature=2, min_length=40, max_length=40)
    plain = written(model, words, [Request("", seed) for seed in (0, NEXT_SEED)], config)
    own = training_of(plain[0].text)
    (sample,) = written(model, words, [Request("", 0)], config, training=own, redraw=3)
    assert (sample.text, sample.seed, sample.redrawn) == (plain[1].text, 0, 1)
    assert sample.copied.containment <= TOO_NEAR
    (kept,) = written(model, words, [Request("", 0)], config, training=own)
    assert (kept.text, kept.redrawn, kept.copied.containment) == (plain[0].text, 0, 1)


def test_who_saw_its_pieces_hears_that_it_is_drawn_again(make, words):
    model, config = make("lstm", words), settings(temperature=2, min_length=40, max_length=40)
    own = training_of(*(sample.text for sample in written(model, words, [Request("", 0)], config)))
    shown = []
    for event in decode(model, Options(words, config, training=own, redraw=3), [Request("", 0)], pieces=True):
        if isinstance(event, Redrawn):
            assert event.copied.containment > TOO_NEAR
            shown.clear()
        elif isinstance(event, Sample):
            assert "".join(shown) == event.completion
            assert event.redrawn == 1
        else:
            shown.append(event.text)


def test_where_nothing_is_drawn_a_text_is_not_drawn_again(make, words):
    model, config = make("lstm", words), settings(temperature=0)
    own = training_of(*(sample.text for sample in written(model, words, [Request("", 0)], config)))
    assert written(model, words, [Request("", 0)], config, training=own, redraw=3)[0].redrawn == 0


def test_a_short_text_is_near_to_nothing(make, words):
    model, config = make("lstm", words), settings(max_length=15)
    own = training_of(*(sample.text for sample in written(model, words, [Request("", 0)], config)))
    (sample,) = written(model, words, [Request("", 0)], config, training=own, redraw=3)
    assert (sample.copied.containment, sample.redrawn) == (1, 0)


def test_an_unknown_word_of_a_prompt_hides_no_copy(make, words):
    prompt = "after years zorblax the"
    model, config = make("ngram", words), settings(temperature=0, min_length=5)
    (plain,) = written(model, words, [Request(prompt, 0)], config)
    follows = words_of(plain.text)[4]
    own = training_of(f"{prompt} {follows}")
    guards = [guard_of(own, words, 4)]
    (sample,) = decode(model, Options(words, config, processors=guards), [Request(prompt, 0)])
    assert words_of(sample.text)[:4] == prompt.split()
    assert words_of(sample.text)[4] != follows
