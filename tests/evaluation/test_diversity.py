"""What the measures of variety promise: hand calculations, sacrebleu's figures, and bad texts at the bottom."""

from __future__ import annotations

import statistics

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus.script import words_of
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
