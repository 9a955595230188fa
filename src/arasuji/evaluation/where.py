"""Where in a text the bits go, by characters, so that words, byte pairs and bytes can be read together."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.evaluation.score import Score
from arasuji.tokenizers import Tokenizer

POSITIONS = (0, 25, 50, 100, 200, 400, 800)
"""Where the parts of a text begin, in characters; the last one is open."""
FREQUENCIES = (0, 1, 10, 100, 1000, 10_000)
"""Least occurrences in the training split of the words of a class."""


def pieces(tokenizer: Tokenizer, text: str) -> list[tuple[int, int]]:
    """The characters that each token of a text adds, what stands before it included, and nothing for the end."""
    ends = [0, *(end for _, end in tokenizer.spans(text)), len(text)]
    return list(pairwise(ends))


def bits_of_characters(score: Score, tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """For each text what each of its characters costs, and at last its end, in bits: a token's price is spread over its
    characters. (T + 1,)."""
    found = []
    charges = score.charges or [[0.0] * len(paid) for paid in score.prices]
    for text, paid, charged in zip(texts, score.prices, charges, strict=True):
        bits = np.zeros(len(text) + 1)
        for (start, end), nats in zip(pieces(tokenizer, text), np.add(paid, charged) / math.log(2), strict=True):
            if start == len(text) or start == end:  # the end, or a part of a character that a later token has
                bits[start] += nats
            else:
                bits[start:end] += nats / (end - start)
        found.append(bits)
    return found


def by_position(bits: Sequence[np.ndarray], texts: Sequence[str]) -> list[tuple[int, float]]:
    """(Where a part begins, its bits per byte), for each part that there is; the end of a text is left out."""
    paid, size = np.zeros(len(POSITIONS)), np.zeros(len(POSITIONS))
    for row, text in zip(bits, texts, strict=True):
        part = np.searchsorted(POSITIONS, np.arange(len(text)), side="right") - 1
        paid += np.bincount(part, row[:-1], len(POSITIONS))
        size += np.bincount(part, [len(letter.encode()) for letter in text], len(POSITIONS))
    return [(start, float(p / s)) for start, p, s in zip(POSITIONS, paid, size, strict=True) if s]


def by_frequency(
    bits: Sequence[np.ndarray], texts: Sequence[str], training: TrainingWords
) -> list[tuple[int, float, int]]:
    """(Least occurrences in training, bits of a word, words), for each class of words that there is. A word's price is
    that of its characters and of what stands between it and the word before."""
    counts = training.counts()
    paid, words = [0.0] * len(FREQUENCIES), [0] * len(FREQUENCIES)
    for row, text in zip(bits, texts, strict=True):
        sums, done = np.concatenate([[0], row.cumsum()]), 0
        for word, _, end in placed_words(text):
            number = training.number_of.get(word)
            kind = bisect_right(FREQUENCIES, 0 if number is None else int(counts[number])) - 1
            paid[kind] += float(sums[end] - sums[done])
            words[kind] += 1
            done = end
    return [(least, p / n, n) for least, p, n in zip(FREQUENCIES, paid, words, strict=True) if n]
