"""Whether texts can be told apart from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017).

A classifier learns from four fifths of the texts and says of the others which are real; it is right half of the time
where there is nothing to tell. It sees words and pairs of words, in lower case. It is ridge regression, whose answer
is a system of linear equations: the same texts always give the same figure.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from arasuji.evaluation import bootstrap
from arasuji.evaluation.diversity import Words, runs

PARTS = 5
FEATURES = 1 << 14
"""Columns that words and pairs are spread over by a hash."""
RIDGE = 1.0


class Told(NamedTuple):
    """How many of the texts were taken for what they are, 0.5 being chance."""

    share: float
    low: float
    high: float


def told_apart(
    real: Sequence[Words], others: Sequence[Words], groups: Sequence[str], groups_of_others: Sequence[str]
) -> Told:
    """As many of each and of the same lengths, or these are what is told; and no text twice, or it is known by heart.
    Texts of one group are never on both sides of what is learnt and what is asked."""
    texts, owners = [*real, *others], np.array([*groups, *groups_of_others])
    truth = np.array([1.0] * len(real) + [-1.0] * len(others))
    rows = _rows(texts)
    likeness = rows @ rows.T + 1  # the constant of a regression
    part_of = {group: int(hashlib.sha256(group.encode()).hexdigest(), 16) % PARTS for group in set(owners.tolist())}
    parts = np.array([part_of[group] for group in owners.tolist()])
    right = np.zeros(len(texts))
    for part in range(PARTS):
        asked, learnt = np.flatnonzero(parts == part), np.flatnonzero(parts != part)
        if len(asked):
            # Each kind weighs as much as the other, or what is left out of one would be taken for the other.
            scarce = [2 * np.mean(truth[learnt] == kind) for kind in truth[learnt]]
            known = likeness[np.ix_(learnt, learnt)] + RIDGE * np.diag(scarce)
            answers = likeness[np.ix_(asked, learnt)] @ np.linalg.solve(known, truth[learnt])
            right[asked] = np.where(answers == 0, 0.5, answers * truth[asked] > 0)
    low, high = bootstrap.interval(right.tolist(), [1.0] * len(right), owners.tolist())
    return Told(float(right.mean()), low, high)


def _rows(texts: Sequence[Words]) -> np.ndarray:
    """A row of length 1 for each text, (N, F): rare words and pairs weigh more (tf-idf), but those of a single text are
    left out, since no other can be told by them."""
    rows = np.zeros((len(texts), FEATURES), np.float32)
    for i, words in enumerate(texts):
        for run in [*runs(words, 1), *runs(words, 2)]:
            rows[i, zlib.crc32(" ".join(run).encode("utf-8", "replace")) % FEATURES] += 1
    holders = (rows > 0).sum(0)
    rows, holders = np.log1p(rows[:, holders > 1]), holders[holders > 1]
    rows *= np.log((1 + len(texts)) / (1 + holders)) + 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
