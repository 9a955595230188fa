"""Whether texts can be told from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017).

A judge learns from four fifths of the texts and says of the others which were written; its accuracy is 0.5 where the
two kinds are alike. It is logistic regression on what a pretrained reader sees in the texts (`reader`). Two weaker
judges stand beside it. One sees words and pairs of words alone. The other sees the reader's hidden states alone, for
the reader may be the parent of the model that wrote the texts, which then surprises it less than another model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from arasuji.corpus import Progress
from arasuji.corpus.script import words_of
from arasuji.evaluation import bootstrap
from arasuji.evaluation.reader import NUMBERS, Reader
from arasuji.evaluation.report import Judged, Telling, Told
from arasuji.evaluation.sentences import sentences
from arasuji.evaluation.texts import FEWEST, Texts, least

FOLDS = 5
"""The texts are divided into this number of parts, each of which is judged after learning from the others."""
COMPONENTS = 64
"""The number of directions that the hidden states are reduced to."""
STRENGTH = 0.03
"""scikit-learn's C of a judge that reads: the inverse of its regularization."""
WORDS_STRENGTH = 1.0
"""The same of the judge that sees words."""
TELLING = 10
"""The number of texts that are shown for giving themselves away."""


def judge(
    written: Texts,
    real: Texts,
    words: int,
    reader: Reader,
    most: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Judged | None:
    """How well written texts are told from real ones, and which of them give themselves away. None where too few of
    a kind are long enough, or their groups are fewer than the folds.

    All are cut to `words` words. As many are taken of each kind, of the written ones as many of each round, `most` in
    all. Give no real text twice, or it is learnt by heart. Texts of one group are never both learnt from and judged.
    """
    rounds, others = written.rounds(words), [cut for cuts in real.rounds(words) for cut in cuts]
    count = min(least(written, words) * len(rounds), len(others), most or len(others))
    each = count // len(rounds)
    cuts = [*(cut for cuts in rounds for cut in cuts[:each]), *others[: each * len(rounds)]]
    groups = np.array([cut.group for cut in cuts])
    if len(cuts) < 2 * FEWEST or len(set(groups.tolist())) < FOLDS:
        return None
    texts, half = [cut.text.strip() for cut in cuts], len(cuts) // 2
    truth = np.arange(len(cuts)) < half
    rows = np.vstack([_rows(reader, some, progress) for some in (texts[:half], texts[half:])])
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(rows, truth, groups))
    kept = min(COMPONENTS, rows.shape[1] - len(NUMBERS), len(cuts) // 10)
    judges, scores = _judged(_of_rows(kept), rows, truth, folds)
    _, by_hidden = _judged(_of_rows(kept, surprisal=False), rows, truth, folds)
    _, by_words = _judged(_of_words(), np.array(texts, object), truth, folds)
    in_words = _told(by_words, truth, groups)
    telling = [int(i) for i in (-scores[:half]).argsort(kind="stable")[:TELLING]]
    judge_of = {int(i): made for made, (_, asked) in zip(judges, folds, strict=True) for i in asked}
    return Judged(
        **dict(_told(scores, truth, groups)),
        reader=reader.name,
        texts=half,
        words_accuracy=in_words.accuracy,
        words_low=in_words.low,
        words_high=in_words.high,
        without_surprisal=_told(by_hidden, truth, groups),
        telling=_telling([texts[i] for i in telling], scores[telling], [judge_of[i] for i in telling], reader),
    )


def _rows(reader: Reader, texts: Sequence[str], progress: Progress) -> np.ndarray:
    """A row for each text: its hidden states, then its numbers."""
    return np.hstack(reader.read(texts, progress))


def _of_rows(components: int, surprisal: bool = True) -> Pipeline:
    """A judge of rows: hidden states are reduced to the directions in which the texts learnt from differ most."""
    reduced = make_pipeline(StandardScaler(), PCA(components, whiten=True, random_state=0))
    seen = [("hidden", reduced, slice(None, -len(NUMBERS)))]
    if surprisal:
        seen.append(("numbers", StandardScaler(), slice(-len(NUMBERS), None)))
    return make_pipeline(ColumnTransformer(seen), LogisticRegression(C=STRENGTH, class_weight="balanced"))


def _of_words() -> Pipeline:
    """A judge of words and pairs of words, in lower case and without punctuation; those of one text say nothing."""
    tf_idf = TfidfVectorizer(
        tokenizer=words_of, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True
    )
    return make_pipeline(tf_idf, LogisticRegression(C=WORDS_STRENGTH, class_weight="balanced"))


def _judged(
    kind: Pipeline, seen: np.ndarray, truth: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[Pipeline], np.ndarray]:
    """The judge of each fold, and the log-odds that it gives the texts that it has not learnt from of being written."""
    judges, scores = [], np.zeros(len(truth))
    for learnt, asked in folds:
        judges.append(clone(kind).fit(seen[learnt], truth[learnt]))
        scores[asked] = judges[-1].decision_function(seen[asked])
    return judges, scores


def _told(scores: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Told:
    correct, owners = ((scores > 0) == truth).astype(float), groups.tolist()
    low, high = bootstrap.interval(correct.tolist(), [1.0] * len(correct), owners) or (0.0, 1.0)
    area_low, area_high = bootstrap.area_interval(scores.tolist(), truth.tolist(), owners) or (0.0, 1.0)
    return Told(
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        auroc=float(roc_auc_score(truth, scores)),
        auroc_low=area_low,
        auroc_high=area_high,
    )


def _telling(texts: Sequence[str], scores: np.ndarray, judges: Sequence[Any], reader: Reader) -> list[Telling]:
    """The texts, each with the sentence without which its judge would take it for the most real."""
    places = [sentences(text) for text in texts]
    without = [
        (i, place, text[: place[0]] + text[place[1] :])
        for i, text in enumerate(texts)
        for place in places[i]
        if len(places[i]) > 1
    ]
    marked = [(0, len(text)) for text in texts]
    left = scores.copy()
    rows: Any = _rows(reader, [text for _, _, text in without], lambda what, done, total: None) if without else []
    for (i, place, _), row in zip(without, rows, strict=True):
        score = judges[i].decision_function(row[None])[0]
        if marked[i] == (0, len(texts[i])) or score < left[i]:
            marked[i], left[i] = place, score
    return [
        Telling(text=text, probability=float(1 / (1 + np.exp(-score))), start=start, end=end)
        for text, score, (start, end) in zip(texts, scores, marked, strict=True)
    ]
