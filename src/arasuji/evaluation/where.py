"""The bits of each character of a text, so that models with words, byte pairs and bytes can be laid side by side."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.evaluation.answer import FrequencyBits, PositionBits
from arasuji.evaluation.score import Score
from arasuji.tokenizers import Tokenizer

POSITIONS = (0, 25, 50, 100, 200, 400, 800)
"""The characters at which the parts of a text begin; the last part is open."""
FREQUENCIES = (0, 1, 10, 100, 1000, 10_000)
"""The least occurrences in the training split of the words of each frequency class."""


def pieces(tokenizer: Tokenizer, text: str) -> list[tuple[int, int]]:
    """The characters that each token of a text adds, from and to, the space before it included; none for the end."""
    ends = [0, *(end for _, end in tokenizer.spans(text)), len(text)]
    return list(pairwise(ends))


def bits_of_characters(score: Score, tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """For each text the bits of each of its T characters and of its end, (T + 1,): a token's bits, its charge included,
    are spread evenly over its characters."""
    found = []
    charges = score.charges or [[0.0] * len(nll) for nll in score.nll]
    for text, nll, charge in zip(texts, score.nll, charges, strict=True):
        bits = np.zeros(len(text) + 1)
        for (start, end), of_token in zip(pieces(tokenizer, text), np.add(nll, charge) / math.log(2), strict=True):
            if start == len(text) or start == end:  # the end, or a part of a character that a later token has
                bits[start] += of_token
            else:
                bits[start:end] += of_token / (end - start)
        found.append(bits)
    return found


def by_position(bits: Sequence[np.ndarray], texts: Sequence[str]) -> list[PositionBits]:
    """The bits per byte of each part that there is; the end of a text is left out."""
    sums, size = np.zeros(len(POSITIONS)), np.zeros(len(POSITIONS))
    for row, text in zip(bits, texts, strict=True):
        part = np.searchsorted(POSITIONS, np.arange(len(text)), side="right") - 1
        sums += np.bincount(part, row[:-1], len(POSITIONS))
        size += np.bincount(part, [len(letter.encode()) for letter in text], len(POSITIONS))
    return [PositionBits(start, float(a / b)) for start, a, b in zip(POSITIONS, sums, size, strict=True) if b]


def by_frequency(bits: Sequence[np.ndarray], texts: Sequence[str], training: TrainingWords) -> list[FrequencyBits]:
    """The bits per word of each frequency class that there is. A word's bits are those of its characters and of what
    stands between it and the word before."""
    counts = training.counts()
    sums, words = [0.0] * len(FREQUENCIES), [0] * len(FREQUENCIES)
    for row, text in zip(bits, texts, strict=True):
        up_to, done = np.concatenate([[0], row.cumsum()]), 0
        for word, _, end in placed_words(text):
            number = training.number_of.get(word)
            kind = bisect_right(FREQUENCIES, 0 if number is None else int(counts[number])) - 1
            sums[kind] += float(up_to[end] - up_to[done])
            words[kind] += 1
            done = end
    return [FrequencyBits(least, a / n, n) for least, a, n in zip(FREQUENCIES, sums, words, strict=True) if n]
