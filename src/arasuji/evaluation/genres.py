"""Finds genres in texts: a multi-label classifier on what a pretrained reader sees in them (`reader`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from arasuji.corpus import Progress, Record
from arasuji.corpus.script import placed_words
from arasuji.evaluation.reader import Reader

COMPONENTS = 128
"""The number of directions that the reader's hidden states are reduced to."""
STRENGTH = 0.03
"""scikit-learn's C, the inverse of the regularization."""
FOLDS = 5
"""The texts are divided into this number of parts, each of which is scored after learning from the others."""


@dataclass(frozen=True)
class Labelled:
    """Texts, each with the genres that it holds, or was asked for."""

    texts: Sequence[str]
    genres: Sequence[Sequence[str]]
    groups: Sequence[str]
    """Texts of one group are not independent of each other."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """Records that have genres."""
        own = [*records]
        return cls([r.text for r in own], [r.metadata["genres"] for r in own], [r.group for r in own])

    def held(self, genres: Sequence[str]) -> np.ndarray:
        """Which of some genres each text has, (N, G) bool."""
        return np.array([[genre in own for genre in genres] for own in self.genres], bool).reshape(-1, len(genres))


@dataclass(frozen=True)
class Classifier:
    """Logistic regression for each genre. It sees the reader's hidden states alone: how much a text surprises the
    reader says nothing of its genres."""

    reader: Reader
    words: int
    """The number of words that texts are cut to. One that has fewer stays whole: it is a text too, which shows a genre
    or does not."""
    fitted: Pipeline
    thresholds: np.ndarray
    """(G,): a genre is found in a text where its score is higher."""

    @classmethod
    def of(cls, train: Labelled, genres: Sequence[str], words: int, reader: Reader, progress: Progress) -> Self:
        """A classifier that has learnt from texts of `FOLDS` groups or more.

        Its thresholds are those by which each genre is found in as many of these texts as hold it, so that precision
        equals recall, by scores of classifiers that have not learnt from the text's group."""
        seen, held = _seen(reader, train.texts, words, progress), train.held(genres)
        kind = make_pipeline(
            StandardScaler(),
            PCA(min(COMPONENTS, seen.shape[1], len(seen) // 2), whiten=True, random_state=0),
            OneVsRestClassifier(LogisticRegression(C=STRENGTH, class_weight="balanced")),
        )
        scores = np.zeros(held.shape)
        for learnt, asked in GroupKFold(FOLDS, shuffle=True, random_state=0).split(seen, groups=train.groups):
            scores[asked] = _scores(clone(kind).fit(seen[learnt], held[learnt].astype(int)), seen[asked])
        thresholds = -np.sort(-scores, axis=0)[held.sum(0), range(len(genres))]
        return cls(reader, words, kind.fit(seen, held.astype(int)), thresholds)

    def scores(self, texts: Sequence[str], progress: Progress) -> np.ndarray:
        """The log-odds of each genre in each text, (N, G)."""
        return _scores(self.fitted, _seen(self.reader, texts, self.words, progress))


def _scores(fitted: Pipeline, seen: np.ndarray) -> np.ndarray:
    """(N, G), which scikit-learn gives as (N,) where G is 1."""
    scores: np.ndarray = fitted.decision_function(seen).reshape(len(seen), -1)
    return scores


def _seen(reader: Reader, texts: Sequence[str], words: int, progress: Progress) -> np.ndarray:
    """What the reader sees in the first words of texts."""
    return reader.read([_cut(text, words) for text in texts], progress).hidden


def _cut(text: str, words: int) -> str:
    placed = placed_words(text)[:words]
    return text[: placed[-1][2]].strip() if len(placed) == words else text.strip()
