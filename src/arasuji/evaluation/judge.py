"""Whether texts can be told from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017).

A judge learns from four fifths of the texts and says of the others which were written; its accuracy is 0.5 where the
two kinds are alike. It is logistic regression on what a pretrained reader sees in the texts (`reader`). Two weaker
judges stand beside it. One sees words and pairs of words alone. The other sees the reader's hidden states alone, for
the reader may be the parent of the model that wrote the texts, which then surprises it less than another model does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from arasuji.corpus.sentences import sentences
from arasuji.evaluation import bootstrap
from arasuji.evaluation.mauve import mauve
from arasuji.evaluation.reader import LAYERS, NUMBERS, Reader
from arasuji.evaluation.report import Accuracy, Judged, Telling
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
    shown: int = TELLING,
) -> Judged | None:
    """How well written texts are distinguished from real ones, and which `shown` of them give themselves away. None
    where none are given, too few of a kind are long enough, or their groups are fewer than the folds.

    All are cut to `words` words. As many are taken of each kind, of the written ones as many of each round, `most` in
    all. Give no real text twice, or it is learnt by heart. Texts of one group are never both learnt from and judged.
    """
    rounds, others = written.rounds(words), [cut for cuts in real.rounds(words) for cut in cuts]
    limit = len(others) if most is None else min(most, len(others))
    each = min(least(written, words, 1) * len(rounds), limit) // max(1, len(rounds))
    half = each * len(rounds)
    cuts = [*(cut for cuts in rounds for cut in cuts[:each]), *others[:half]]
    owners = [cut.group for cut in cuts]
    if half < FEWEST or min(len({*owners[:half]}), len({*owners[half:]})) < FOLDS:
        return None
    texts, groups, truth = [cut.text.strip() for cut in cuts], np.array(owners), np.arange(2 * half) < half
    rows = np.vstack([rows_of(reader, some, progress) for some in (texts[:half], texts[half:])])
    scores, judges = cross_judged(of_rows(rows), rows, truth, groups)
    by_hidden, _ = cross_judged(of_rows(rows, surprisal=False), rows, truth, groups)
    by_words, _ = cross_judged(of_words(), np.array(texts, object), truth, groups)
    in_words = accuracy_of(by_words, truth, groups)
    width = rows.shape[1] - len(NUMBERS)
    last_layer = rows[:, width - width // LAYERS : width]
    surest = (-scores[:half]).argsort(kind="stable")[:shown].tolist()
    return Judged(
        **dict(accuracy_of(scores, truth, groups)),
        reader=reader.name,
        texts=half,
        words_accuracy=in_words.accuracy,
        words_low=in_words.low,
        words_high=in_words.high,
        without_surprisal=accuracy_of(by_hidden, truth, groups),
        mauve=mauve(last_layer[:half], last_layer[half:]),
        telling=list(_telling([texts[i] for i in surest], scores[surest], [judges[i] for i in surest], reader)),
    )


def judge_from_pool(
    written: Texts | None,
    pool: Texts,
    words: int,
    reader: Reader,
    count: int,
    progress: Progress,
    shown: int = TELLING,
) -> Judged | None:
    """How well at most `count` written texts, or else the second `count` of a pool of real ones, are told from the
    first `count` of the pool. See `judge`."""
    first, second = pool.part(0, count), pool.part(count, count)
    return judge(written or second, first, words, reader, count, progress, shown)


def rows_of(reader: Reader, texts: Sequence[str], progress: Progress = lambda what, done, total: None) -> np.ndarray:
    """A row for each text: hidden states, then numbers."""
    return np.hstack(reader.read(texts, progress))


def of_rows(rows: np.ndarray, surprisal: bool = True) -> Pipeline:
    """A judge of such rows, that has learnt nothing. Hidden states are reduced to the directions in which the texts
    learnt from differ most."""
    width = rows.shape[1] - len(NUMBERS)
    reduced = make_pipeline(StandardScaler(), PCA(min(COMPONENTS, width, len(rows) // 10), whiten=True, random_state=0))
    seen = [("hidden", reduced, slice(0, width))]
    if surprisal:
        seen.append(("numbers", StandardScaler(), slice(width, None)))
    return make_pipeline(ColumnTransformer(seen), LogisticRegression(C=STRENGTH, class_weight="balanced"))


def of_words() -> Pipeline:
    """A judge of words and pairs of words, in lower case and without punctuation; those of one text say nothing."""
    tf_idf = TfidfVectorizer(
        tokenizer=words_of, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True
    )
    return make_pipeline(tf_idf, LogisticRegression(C=WORDS_STRENGTH, class_weight="balanced"))


def cross_judged(
    kind: Pipeline, seen: np.ndarray, truth: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, list[Pipeline]]:
    """For each text the log-odds of being written, by a judge that has not learnt from its group; and this judge.

    seen (N, ...), truth (N,) bool, groups (N,). Each fold has about as many of both kinds."""
    scores, judges = np.zeros(len(truth)), [kind] * len(truth)
    for learnt, asked in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(seen, truth, groups):
        made = clone(kind).fit(seen[learnt], truth[learnt])
        scores[asked] = made.decision_function(seen[asked])
        for i in asked:
            judges[i] = made
    return scores, judges


def accuracy_of(scores: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Accuracy:
    """The accuracy of judgements by their log-odds, with 95 % intervals by group."""
    correct, owners = ((scores > 0) == truth).astype(float).tolist(), groups.tolist()
    low, high = bootstrap.interval(correct, [1.0] * len(correct), owners) or (0.0, 1.0)
    area_low, area_high = bootstrap.area_interval(scores.tolist(), truth.tolist(), owners) or (0.0, 1.0)
    return Accuracy(
        accuracy=float(np.mean(correct)),
        low=low,
        high=high,
        auroc=float(roc_auc_score(truth, scores)),
        auroc_low=area_low,
        auroc_high=area_high,
    )


def _telling(texts: Sequence[str], scores: np.ndarray, judges: Sequence[Pipeline], reader: Reader) -> Iterator[Telling]:
    """The texts, each with the sentence without which its judge would take it for the most real; where it is a single
    sentence, this is the whole text."""
    places = [sentences(text) for text in texts]
    shortened = [
        text[:start] + text[end:] for text, own in zip(texts, places, strict=True) for start, end in own if len(own) > 1
    ]
    rows = iter(rows_of(reader, shortened) if shortened else [])
    for text, own, score, judge in zip(texts, places, scores, judges, strict=True):
        left = [judge.decision_function([next(rows)])[0] for _ in own] if len(own) > 1 else [0.0]
        start, end = own[int(np.argmin(left))]
        yield Telling(text=text, probability=float(1 / (1 + np.exp(-score))), start=start, end=end)
