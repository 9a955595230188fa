"""Whether models obey: how much more often a genre is found in the texts that were asked for it than in the others.

A classifier that has learnt from training texts finds the genres (`genres`). It is checked on held-out texts, and only
genres that it finds there count. What it overlooks or mistakes, it does in real texts too: so the lift of these stands
beside that of each model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Self

import numpy as np
from sklearn.metrics import roc_auc_score

from arasuji.corpus import Corpus, Progress
from arasuji.corpus.record import part_of
from arasuji.documents import values_of
from arasuji.evaluation import bootstrap
from arasuji.evaluation.genres import FOLDS, Classifier, Labelled
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.report import Genre, Lift, Obedience
from arasuji.evaluation.task import labelled

LEAST_AUROC = 0.75
"""A genre counts where the classifier ranks held-out texts with at least this area under the ROC curve."""
LEAST_TEXTS = 100
"""A genre counts where at least this number of training texts hold it."""
LEARNT_FROM, CHECKED_ON = 3000, 1000
"""At most these numbers of training texts and of held-out ones are read."""


@dataclass(frozen=True)
class Measured:
    """How surely sets of texts show the same genres."""

    genres: list[Genre]
    """Those that count, in the order in which they were given."""
    real: Obedience
    written: list[Obedience]


def obedience_in(
    corpus: Corpus, written: Sequence[Labelled], words: int, reader: Reader, seed: int, progress: Progress
) -> Measured | None:
    """How well models obey, by texts of a corpus that are drawn by the seed. See `obedience`."""
    train = islice(labelled([corpus.train], seed), LEARNT_FROM)
    real = islice(labelled([corpus.test, corpus.validation], seed), CHECKED_ON)
    counts = values_of(corpus.train, "{genres}")["genres"]
    return obedience(written, Labelled.of(real), Labelled.of(train), counts, words, reader, progress)


def obedience(
    written: Sequence[Labelled],
    real: Labelled,
    train: Labelled,
    counts: Mapping[str, int],
    words: int,
    reader: Reader,
    progress: Progress = lambda what, done, total: None,
) -> Measured | None:
    """How well the texts of models obey, each set beside held-out `real` ones. `train` are texts to learn from, and
    `counts` says how many texts of the training split hold each genre. All are cut to `words` words.

    A genre counts where `LEAST_TEXTS` training texts hold it, the classifier ranks real texts by it with an AUROC of
    `LEAST_AUROC`, and each set has texts that were asked for it and others. None where none counts.
    """
    sets = [real, *written]
    enough = [name for name, count in counts.items() if count >= LEAST_TEXTS]
    known = [name for name in enough if all(_varies(own, name) for own in (train, *sets))]
    if not known or len(set(train.groups)) < FOLDS:
        return None
    parts = len(sets) + 1
    classifier = Classifier.of(train, known, words, reader, part_of(progress, 0, parts))
    scores = [classifier.scores(own.texts, part_of(progress, i, parts)) for i, own in enumerate(sets, 1)]
    areas = [float(roc_auc_score(*both)) for both in zip(real.held(known).T, scores[0].T, strict=True)]
    counting = [i for i, area in enumerate(areas) if area >= LEAST_AUROC]
    if not counting:
        return None
    names = [known[i] for i in counting]
    of_real, *of_written = [
        _Shares.of((found > classifier.thresholds)[:, counting], own.held(names), own.groups, seed)
        for seed, (found, own) in enumerate(zip(scores, sets, strict=True))
    ]
    return Measured(
        [Genre(known[i], counts[known[i]], areas[i]) for i in counting],
        of_real.obedience(),
        [own.obedience(of_real) for own in of_written],
    )


def _varies(texts: Labelled, genre: str) -> bool:
    """Whether some of the texts have a genre and some have not."""
    return len({genre in own for own in texts.genres}) == 2


@dataclass(frozen=True)
class _Shares:
    """The shares of texts in which G genres are found: of those that hold a genre, and of the others."""

    texts: Sequence[int]
    """For each genre the number of texts that hold it."""
    total: int
    found: np.ndarray
    """(2, G)."""
    resampled: np.ndarray | None
    """(2, R, G); see `bootstrap.shares`."""

    @classmethod
    def of(cls, found: np.ndarray, held: np.ndarray, groups: Sequence[str], seed: int) -> Self:
        shares = [(found & which).sum(0) / which.sum(0) for which in (held, ~held)]
        return cls(held.sum(0).tolist(), len(held), np.array(shares), bootstrap.shares(found, held, groups, seed))

    @property
    def lift(self) -> float:
        """The median of the genres' lifts."""
        return float(np.median(self.found[0] - self.found[1]))

    @cached_property
    def lifts(self) -> np.ndarray:
        """`lift` in each resample, (R,); NaN where no genre has texts of both kinds. (0,) of texts of one group."""
        if self.resampled is None:
            return np.empty(0)
        return np.ma.median(np.ma.masked_invalid(self.resampled[0] - self.resampled[1]), axis=1).filled(np.nan)

    def obedience(self, real: Self | None = None) -> Obedience:
        """The figures, compared with those of `real` texts."""
        genres = [self._of_genre(i) for i in range(len(self.texts))]
        times = [own.found / own.found_in_others for own in genres if own.found_in_others]
        low, high = _interval(self.lifts)
        made = Obedience(
            texts=self.total,
            genres=genres,
            lift=self.lift,
            low=low,
            high=high,
            times=float(np.median(times)) if times else None,
        )
        if real and real.lift > 0:
            made.of_real = self.lift / real.lift
            if len(self.lifts) and len(real.lifts):
                made.of_real_low, made.of_real_high = _interval(
                    self.lifts / np.where(real.lifts > 0, real.lifts, np.nan)
                )
        return made

    def _of_genre(self, i: int) -> Lift:
        found, others = self.found[:, i].tolist()
        low, high = _interval(np.empty(0) if self.resampled is None else np.subtract(*self.resampled[:, :, i]))
        return Lift(texts=self.texts[i], found=found, found_in_others=others, lift=found - others, low=low, high=high)


def _interval(resampled: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of a figure, where any resample has it."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
