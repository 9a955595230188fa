"""What the measures of written texts promise: bad texts at the bottom of the measures that are meant to catch them."""

from __future__ import annotations

import math
import random

import pytest
from scored_models import training_of

from arasuji.corpus.script import words_of
from arasuji.evaluation.compare import _pairs
from arasuji.evaluation.originality import copied
from arasuji.evaluation.texts import Texts, copies, measured, usable

WORDS = 40


@pytest.fixture(scope="module")
def texts(starter_texts):
    return [text for text in starter_texts if len(words_of(text)) >= WORDS]


@pytest.fixture(scope="module")
def real(texts):
    return Texts(texts[:60], [f"story {i}" for i in range(60)])


@pytest.fixture(scope="module")
def others(texts):
    """As real, and nobody's continuation."""
    return texts[60:120]


def found(own, real, times=1):
    """The measures of texts that go on from the same prompts as the real ones."""
    made = Texts(list(own) * times, real.groups)
    return measured(made, real, WORDS, usable(made, WORDS))


def test_real_texts_beside_other_real_ones_are_at_the_top(real, others):
    measures = found(others, real)
    assert measures["enough"] == 1
    assert measures["told"]["low"] < 0.5 < measures["told"]["high"]
    assert measures["distinct_2"] > 0.9
    assert measures["repetition"] < 0.02


def test_shuffled_words_are_told(texts):
    real = Texts(texts[:200], [f"story {i}" for i in range(200)])
    shuffled = [
        " ".join(random.Random(i).sample(text.split(), len(text.split()))) for i, text in enumerate(texts[200:400])
    ]
    assert found(shuffled, real)["told"]["low"] > 0.6


def test_repeated_text_is_told_and_repeats_and_is_not_varied(real, others):
    measures = found([" ".join(text.split()[:5] * 20) for text in others], real)
    assert measures["told"]["low"] > 0.7
    assert measures["repetition"] > 0.8
    same = found([others[0]] * 60, real)
    assert same["self_bleu"] == pytest.approx(1)
    assert same["distinct_2"] < 0.05


def test_training_text_word_for_word_is_found_whatever_else_is_good_about_it(real, others, texts):
    training = training_of(*texts[60:])
    verbatim, fresh = copies(copied(others, training)), copies(copied(real.texts, training))
    assert verbatim["longest_words"] == max(len(words_of(text)) for text in others)
    assert verbatim["share_8gram"] == verbatim["share_13gram"] == verbatim["copying_texts"] == verbatim["likeness"] == 1
    assert fresh["copying_texts"] == 0
    assert fresh["share_8gram"] < 0.01


def test_empty_text_is_not_judged_by_what_it_lacks(real):
    measures = found([""] * 60, real)
    assert (measures["enough"], measures["words"]) == (0, 0)
    assert all(measures[name] is None for name in ("told", "distinct_2", "self_bleu", "repetition"))


def test_a_model_that_mostly_writes_nothing_is_not_judged_by_its_few_good_texts(real, others):
    assert found([*others[:29], *[""] * 31], real)["told"] is None
    assert found([*others[:31], *[""] * 29], real)["told"] is not None


def test_each_time_over_is_measured_alone_and_the_range_is_told(real, others, texts):
    made = Texts([*others, *[texts[0]] * 60], real.groups)
    measures = measured(made, real, WORDS, 60)
    low, high = measures["distinct_2_range"]
    assert low < 0.05 < 0.9 < high
    assert measures["distinct_2"] == pytest.approx((low + high) / 2)
    assert measures["texts"] == 120


def test_sets_are_compared_by_as_many_texts(real, others):
    made = Texts(others, real.groups)
    assert measured(made, real, WORDS, 30)["distinct_1"] > measured(made, real, WORDS, 60)["distinct_1"]


def test_mauve_finds_real_texts_near_real_ones_and_bad_ones_far_off(real, others):
    repeated = [" ".join(text.split()[:5] * 20) for text in others]
    assert found(others, real)["mauve"] > 0.8
    assert found(repeated, real)["mauve"] < 0.1
    assert found([others[0]] * 60, real)["mauve"] < 0.1


def test_without_mauve_there_is_no_figure_of_it(real, others, monkeypatch):
    monkeypatch.setattr("arasuji.evaluation.mauve.find_spec", lambda name: None)
    assert found(others, real)["mauve"] is None


def scored(name, nats, charge=0.0):
    documents = {"nats": nats, "bytes": [100] * len(nats), "groups": [str(i) for i in range(len(nats))]}
    bits = sum(nats) / sum(documents["bytes"]) / math.log(2)
    return {"name": name, "bits_per_byte": bits, "charge": charge, "documents": documents}


def test_a_pair_names_the_better_one_first_and_says_when_nothing_is_shown():
    noise = random.Random(0)
    good = [80 + noise.gauss(0, 5) for _ in range(200)]
    alike = [nats + noise.gauss(0, 5) for nats in good]
    bad = [nats + 10 + noise.gauss(0, 5) for nats in good]
    pairs = {(p["a"], p["b"]): p for p in _pairs([scored("bad", bad), scored("good", good), scored("alike", alike)])}
    close = next(pair for names, pair in pairs.items() if set(names) == {"good", "alike"})
    assert close["verdict"] == "no difference shown"
    assert close["low"] < 0 < close["high"]
    worse = pairs["good", "bad"]
    assert worse["verdict"] == "better"
    assert worse["low"] < worse["difference"] < worse["high"] < 0


def test_nothing_is_better_than_a_lower_bound():
    pair = _pairs([scored("free", [1.0] * 30), scored("bound", [0.5] * 30, charge=None)])[0]
    assert pair["verdict"] == "not comparable"
