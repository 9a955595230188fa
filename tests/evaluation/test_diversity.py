"""What the measures of variety promise: hand calculations, sacrebleu's figures, and bad texts at the bottom."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus.script import words_of
from arasuji.evaluation import classifier as module
from arasuji.evaluation.classifier import classified, ridge, tf_idf
from arasuji.evaluation.diversity import distinct, repetition, self_bleu

LENGTH = 40


@pytest.fixture(scope="module")
def real(starter_texts):
    texts = [words_of(text)[:LENGTH] for text in starter_texts]
    return [words for words in texts if len(words) == LENGTH]


def test_distinct_shingles_by_hand():
    texts = [["a", "b", "a", "b"], ["a", "b", "c"]]
    assert distinct(texts, 1) == 3 / 7
    assert distinct(texts, 2) == 3 / 5  # ab ba bc of ab ba ab ab bc
    assert distinct(texts, 3) == 3 / 3
    assert distinct([], 2) == distinct([["a"]], 2) == 0


def test_repetition_by_hand():
    assert repetition(list("abcdabcd")) == pytest.approx(1 / 5)  # abcd comes back, of five shingles
    assert repetition(list("abcdefgh")) == 0
    assert repetition(["on"] * 13) == pytest.approx(9 / 10)
    assert repetition(["a", "b"]) == repetition([]) == 0


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=9), min_size=2, max_size=5))
def test_self_bleu_equals_sacrebleus(texts):
    lines = [" ".join(words) for words in texts]
    theirs = [
        sacrebleu.sentence_bleu(line, lines[:i] + lines[i + 1 :], tokenize="none", smooth_method="exp").score / 100
        for i, line in enumerate(lines)
    ]
    assert self_bleu(texts) == pytest.approx(statistics.fmean(theirs), abs=1e-6)


def test_the_same_text_again_and_again_is_at_the_bottom_of_variety(real):
    same = [real[0]] * len(real)
    for size in (1, 2, 3):
        assert distinct(same, size) < 0.05 < distinct(real, size)
    assert self_bleu(same) == pytest.approx(1)
    assert self_bleu(real) < 0.5


def test_a_text_that_repeats_itself_is_at_the_bottom_of_repetition(real):
    assert repetition((real[0][:4] * LENGTH)[:LENGTH]) > 0.8
    assert statistics.fmean(map(repetition, real)) < 0.02


def halves(texts):
    half = len(texts) // 2
    return texts[:half], texts[half : 2 * half], [str(i) for i in range(half)]


def test_real_texts_cannot_be_told_from_real_ones(real):
    """Not by one draw, which may be an odd one: over twenty the accuracy is a half, and most intervals hold it."""
    others = [f"other {i}" for i in range(len(real) // 2)]
    draws = [classified(*halves(random.Random(i).sample(real, len(real))), others) for i in range(20)]
    assert 0.45 < statistics.fmean(found.accuracy for found in draws) < 0.55
    assert sum(found.low <= 0.5 <= found.high for found in draws) >= 17


def test_shuffled_words_are_told_from_real_texts(real):
    """Though the words are the same: a bag of words would see nothing."""
    ones, others, groups = halves(real)
    shuffled = [random.Random(i).sample(words, len(words)) for i, words in enumerate(others)]
    assert classified(ones, shuffled, groups, groups).low > 0.6


def test_repeated_texts_are_told_from_real_ones(real):
    ones, others, groups = halves(real)
    assert classified(ones, [(words[:4] * LENGTH)[:LENGTH] for words in others], groups, groups).low > 0.8


def test_the_accuracy_is_the_same_each_time_and_hangs_on_no_order(real):
    ones, others, groups = halves(real)
    found = classified(ones, others, groups, groups)
    assert classified(ones, others, groups, groups) == found
    back = classified(ones[::-1], others[::-1], groups[::-1], groups[::-1])
    assert back.accuracy == pytest.approx(found.accuracy, abs=0.02)


def test_texts_of_one_group_have_no_accuracy():
    assert classified([["a"]] * 20, [["b"]] * 20, ["one"] * 20, ["one"] * 20) is None


def test_the_features_are_scikit_learns(real, monkeypatch):
    """Where the hash puts no two words into one column."""
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    columns: dict[bytes, int] = {}
    monkeypatch.setattr(module.zlib, "crc32", lambda key: columns.setdefault(key, len(columns)))
    texts = real[:60]
    theirs = sklearn.TfidfVectorizer(analyzer=lambda words: [*words, *map(" ".join, pairwise(words))], min_df=2)
    theirs.norm = None
    counts = theirs.fit_transform(texts).toarray() / theirs.idf_
    expected = np.log1p(counts) * theirs.idf_
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows = tf_idf(texts)
    assert len(columns) < module.FEATURES
    assert rows @ rows.T == pytest.approx(expected @ expected.T, abs=1e-5)


def test_the_regression_is_scikit_learns(real):
    """A column of ones is the intercept, which scikit-learn would not regularize."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    rows, truth = tf_idf(real[:120]), np.array([1.0] * 80 + [-1.0] * 40)
    with_ones = np.hstack([rows, np.ones((120, 1))])
    learned, asked = np.arange(0, 120, 2), np.arange(1, 120, 2)
    theirs = sklearn.RidgeClassifier(class_weight="balanced", fit_intercept=False)
    answers = theirs.fit(with_ones[learned], truth[learned]).decision_function(with_ones[asked])
    assert ridge(rows[learned], truth[learned], rows[asked]) == pytest.approx(answers, abs=1e-3)


def test_texts_of_one_group_are_never_learnt_from_and_asked_about():
    """Ten stories in ten versions each: known by heart they could be told apart, unknown they cannot."""
    words = [f"w{i}" for i in range(400)]
    rng = random.Random(0)
    stories = [rng.sample(words, 30) for _ in range(20)]
    ones = [stories[i % 10] for i in range(100)]
    others = [stories[10 + i % 10] for i in range(100)]
    groups = [str(i % 10) for i in range(100)]
    assert classified(ones, others, groups, groups).accuracy < 0.75
    alone = [str(i) for i in range(100)]
    assert classified(ones, others, alone, alone).accuracy == 1
