"""Whether texts can be told from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017).

A classifier learns from four fifths of the texts and says of the others which are real; its accuracy is 0.5 where the
two kinds are alike. It sees words and pairs of words, in lower case. It is ridge regression on tf-idf, solved exactly:
the same texts always give the same figure. The tests hold it to scikit-learn's.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np

from arasuji.corpus.shingles import shingles
from arasuji.evaluation import bootstrap
from arasuji.evaluation.diversity import Words
from arasuji.evaluation.report import Classified

PARTS = 5
"""The texts are divided into this number of parts, each of which is classified after learning from the others."""
FEATURES = 1 << 14
"""The number of columns that a hash spreads words and pairs over."""
RIDGE = 1.0
"""The strength of the regularization."""


def classified(
    real: Sequence[Words], others: Sequence[Words], groups: Sequence[str], groups_of_others: Sequence[str]
) -> Classified | None:
    """The accuracy of the classifier; None where all texts are of one group.

    Give as many texts of each kind, all of one length, or the classifier learns these differences; and no text twice,
    or it learns the text by heart. Texts of one group are never both learned from and classified.
    """
    texts, owners = [*real, *others], np.array([*groups, *groups_of_others])
    truth = np.array([1.0] * len(real) + [-1.0] * len(others))
    rows = tf_idf(texts)
    part_of = {group: int(hashlib.sha256(group.encode()).hexdigest(), 16) % PARTS for group in set(owners.tolist())}
    parts = np.array([part_of[group] for group in owners.tolist()])
    correct = np.zeros(len(texts))
    for part in set(parts.tolist()):
        asked, learned = np.flatnonzero(parts == part), np.flatnonzero(parts != part)
        answers = ridge(rows[learned], truth[learned], rows[asked])
        correct[asked] = np.where(answers == 0, 0.5, answers * truth[asked] > 0)
    interval = bootstrap.interval(correct.tolist(), [1.0] * len(correct), owners.tolist())
    if interval is None:
        return None
    return Classified(accuracy=float(correct.mean()), low=interval[0], high=interval[1])


def ridge(learned: np.ndarray, truth: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """What ridge regression predicts for the rows `asked` (M, F), after it has learned that the rows `learned` (N, F)
    are `truth` (N,) of 1 and -1: (M,). Both kinds weigh the same, whatever their numbers. It is solved in its dual
    form, since there are fewer texts than features; the intercept is a feature that is always 1."""
    weight = [2 * np.mean(truth == kind) for kind in truth]
    known = learned @ learned.T + 1 + RIDGE * np.diag(weight)
    return (asked @ learned.T + 1) @ np.linalg.solve(known, truth)


def tf_idf(texts: Sequence[Words]) -> np.ndarray:
    """A row of length 1 for each text, (N, F): the logarithm of 1 + the count of each word and pair, times its inverse
    document frequency. Those of a single text are left out, since they say nothing about another one."""
    rows = np.zeros((len(texts), FEATURES), np.float32)
    for i, words in enumerate(texts):
        for shingle in [*shingles(words, 1), *shingles(words, 2)]:
            rows[i, zlib.crc32(" ".join(shingle).encode("utf-8", "replace")) % FEATURES] += 1
    holders = (rows > 0).sum(0)
    rows, holders = np.log1p(rows[:, holders > 1]), holders[holders > 1]
    rows *= np.log((1 + len(texts)) / (1 + holders)) + 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
