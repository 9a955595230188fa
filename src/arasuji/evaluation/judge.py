"""Whether texts can be told from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017).

A judge learns from four fifths of the texts and says of the others which were written; its accuracy is 0.5 where the two
kinds are alike. It is logistic regression on what a pretrained reader sees in the texts (`reader`). Two weaker judges
stand beside it: one that sees only words and pairs of words, and one that sees only the reader's hidden states, for the
reader may be the parent of the model that wrote the texts, which then surprises it less than another model does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from arasuji.corpus import Progress
from arasuji.corpus.script import words_of
from arasuji.evaluation import bootstrap
from arasuji.evaluation.reader import NUMBERS, Reader, Reading
from arasuji.evaluation.report import Judged, Telling, Told
from arasuji.evaluation.sentences import sentences
from arasuji.evaluation.texts import FEWEST, Cut, Texts

FOLDS = 5
"""The texts are divided into this number of parts, each of which is judged after learning from the others."""
COMPONENTS = 64
"""The number of directions that the hidden states are reduced to."""
STRENGTH = 0.03
"""scikit-learn's C of the logistic regression, the inverse of its regularization."""
TELLING = 10
"""The number of texts that are shown for having given a model away."""


def judge(
    written: Texts,
    real: Texts,
    words: int,
    reader: Reader,
    most: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Judged | None:
    """How well written texts are told from real ones, and by what. None where fewer than `FEWEST` of a kind are long
    enough, or where there are not enough groups to judge some after learning from others.

    All are cut to `words` words, and as many are taken of each kind, at most `most`: of the written ones the first of
    each round. Give no real text twice, or it is learnt by heart. Texts of one group are never both learned from and
    judged.
    """
    rounds, real_cuts = written.rounds(words), [cut for cuts in real.rounds(words) for cut in cuts]
    each = min([len(real_cuts) // len(rounds), *map(len, rounds), *([most // len(rounds)] if most else [])])
    cuts = [*real_cuts[: each * len(rounds)], *(cut for cuts in rounds for cut in cuts[:each])]
    count = each * len(rounds)
    groups = np.array([cut.group for cut in cuts])
    if count < FEWEST or len(set(groups.tolist())) < 2 * FOLDS:
        return None
    truth = np.arange(2 * count) >= count
    parts = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(cuts, truth, groups))
    texts = [cut.text.strip() for cut in cuts]
    seen = [_columns(reader.read(some, progress)) for some in (texts[:count], texts[count:])]
    rows = np.vstack(seen)
    hidden = rows[:, : -len(NUMBERS)]
    by_reader, judges = _judged(rows, truth, parts, lambda: _of_reading(rows.shape[1]))
    by_hidden, _ = _judged(hidden, truth, parts, lambda: make_pipeline(*_reduced(), _regression()))
    by_words, _ = _judged(np.array(texts, object), truth, parts, _of_words)
    found = {"words": by_words, "without_surprisal": by_hidden, "reader": by_reader}
    told = {name: _told(scores, truth, groups) for name, scores in found.items()}
    first = by_reader[count:].argsort()[::-1][:TELLING]
    return Judged(
        **dict(told["reader"]),
        reader=reader.name,
        texts=count,
        words_accuracy=told["words"].accuracy,
        words_low=told["words"].low,
        words_high=told["words"].high,
        without_surprisal=told["without_surprisal"],
        telling=...
    )
