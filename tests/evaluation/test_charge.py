"""What the charge for a word tokenizer promises: all that a token may stand for is paid for, and adds up to 1."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import Uniform

from arasuji.corpus import Record
from arasuji.evaluation import charge as module
from arasuji.evaluation.charge import MIXED, ORDER, OTHER, Charge
from arasuji.evaluation.score import score
from arasuji.tokenizers import word

TRAINING = [
    'The keeper of Ab lights the lamp. The AB lamp, he says, is "old".',
    "Ab keeps the lamp! An oDD keeper (of the lamp) didn't see Zorblax.\nThe end",
    "So the lamp of Ab is not the keeper's lamp: the keeper cannot see it.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return word.build(word.Config(min_count=2), TRAINING)


@pytest.fixture(scope="module")
def charge(tokenizer):
    return Charge(tokenizer, TRAINING)


def cases(small: str):
    """All that may be written for a word in small ASCII letters."""
    return {"".join(letters) for letters in itertools.product(*({a, a.upper()} for a in small))}


@pytest.mark.parametrize("before", ["", "The ", "of the ", "lamp. ", "(", '"'])
@pytest.mark.parametrize("small", ["the", "ab", "a", ",", "keeper"])
def test_the_probabilities_of_all_spellings_of_a_token_sum_to_one(charge, tokenizer, before, small):
    """Of a known token after some words: each mixture of case after each of the usual gaps, and what is left for any
    other way to write it and any other gap."""
    if tokenizer.spelling(tokenizer.encode(small)[0]) is None:
        tokenizer = word.Word([*tokenizer.word_at.values(), small])
        charge = Charge(tokenizer, TRAINING)
    count = len(tokenizer.encode(before))
    steps = list(charge._steps(before + small))
    gap, _ = steps[count].choices
    every_gap = sum(math.exp(charge._log_share(gap._replace(taken=taken))) for taken in gap.options)
    assert every_gap == pytest.approx(1)
    forms = 0.0
    for shown in cases(small):
        step = list(charge._steps(before + shown))[count]
        forms += math.exp(charge._log_share(step.choices[1])) / step.patterns
    other = math.exp(charge._log_share(steps[count].choices[1]._replace(taken=OTHER)))
    assert forms + other == pytest.approx(1)


def test_the_spellings_of_unknown_words_sum_to_one(charge):
    """All strings of one byte or none, and the chance of each first two bytes that a longer string begins with."""
    letters = charge.letters
    shares = letters.model.probabilities

    def following(*before: int) -> torch.Tensor:
        history = [-1] * (ORDER - 1) + [letters.end_id, *before]
        return shares(torch.tensor(history[1 - ORDER :]).expand(257, -1), torch.arange(257))

    first = following()
    seconds = torch.stack([following(byte) for byte in range(256)])
    ended = first[letters.end_id] + (first[:256] * seconds[:, letters.end_id]).sum()
    going_on = (first[:256, None] * seconds[:, :256]).sum()
    assert (ended + going_on).item() == pytest.approx(1)
    by_hand = -(first[ord("z")] * seconds[ord("z"), letters.end_id]).log().item()
    assert letters.nll(["z"]) == pytest.approx([by_hand], rel=1e-5)


def test_a_spelling_costs_the_same_alone_and_among_others(charge, monkeypatch):
    strings = ["zorblax", "", "é", "lamp", "a" * 40]
    together = charge.letters.nll(strings)
    assert together == pytest.approx([charge.letters.nll([string])[0] for string in strings], rel=1e-6)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    assert charge.letters.nll(strings) == pytest.approx(together, rel=1e-6)


def test_words_of_the_training_texts_are_cheap_and_other_cases_and_gaps_are_not(charge):
    usual = sum(charge.nll("The keeper lights the lamp."))
    for other in (
        "the keeper lights the lamp.",
        "The keeper lights THE lamp.",
        "The keeper lights the lAmp.",
        "The keeper lights the lamp .",
        "The  keeper lights the lamp.",
    ):
        assert sum(charge.nll(other)) > usual + 0.5


def test_an_unknown_word_costs_its_letters(charge):
    short, long = sum(charge.nll("the zo")), sum(charge.nll("the zoqqwwxxyy"))
    assert sum(charge.nll("the the")) + 3 < short < long - 10


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_any_text_has_a_price_for_each_token_and_its_end(charge, tokenizer, text):
    paid = charge.nll(text)
    assert len(paid) == len(tokenizer.encode(text)) + 1
    assert all(math.isfinite(nats) and nats >= -1e-9 for nats in paid)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.text(alphabet="aAb B.,'\"\n(ßİſ", max_size=30))
def test_a_text_can_be_written_again_from_what_is_paid_for(charge, tokenizer, text):
    """Tokens, choices and spelled strings leave nothing open."""
    written, tokens = "", tokenizer.encode(text)
    for i, step in enumerate(charge._steps(text)):
        spelled = list(step.spelled)
        gap = step.choices[0].taken
        written += spelled.pop(0) if gap == OTHER else gap
        if i == len(tokens):
            break
        small = tokenizer.spelling(tokens[i])
        small = spelled.pop(0) if small is None else small
        form = step.choices[1].taken
        if form == MIXED:  # which of the patterns is paid for, and taken from the text here
            written += text[len(written) : len(written) + len(small)]
            assert step.patterns > 0
        else:
            written += spelled.pop(0) if form == OTHER else module._forms(small)[form]
        assert not spelled
    assert written == text


def test_a_tokenizer_that_loses_nothing_owes_nothing(bpe):
    records = [Record(str(i), text) for i, text in enumerate(TRAINING)]
    assert Charge.of(bpe, records) is None


def test_a_score_with_the_charge_is_no_lower_bound_any_more(tokenizer, charge):
    free = score(Uniform(tokenizer.vocabulary_size), tokenizer, TRAINING)
    paid = score(Uniform(tokenizer.vocabulary_size), tokenizer, TRAINING, charge=charge)
    assert free.charge is None
    assert paid.charge > 0
    assert paid.bits_per_byte == pytest.approx(free.bits_per_byte + paid.charge)
    assert paid.document_nll[0] == pytest.approx(free.document_nll[0] + sum(charge.nll(TRAINING[0])))
