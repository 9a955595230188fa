"""What texts are like beside real ones: all cut to as many words, as many of each, case and punctuation left out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.evaluation.diversity import Words, distinct, repetition, self_bleu
from arasuji.evaluation.mauve import mauve
from arasuji.evaluation.originality import SIZES, Copied, copied
from arasuji.evaluation.tell import Pairs, told_apart

FEWEST = 20
"""Texts that a measure needs."""


class Cut(NamedTuple):
    """A text's first words, and how it is written up to there."""

    words: Words
    text: str


@dataclass(frozen=True)
class Texts:
    """Continuations of some prompts, once or several times over: text i is of prompt i modulo the number of prompts."""

    texts: Sequence[str]
    groups: Sequence[str]
    """Of each prompt: texts of one group are not independent of each other."""

    @cached_property
    def _placed(self) -> list[list[tuple[str, int, int]]]:
        return [placed_words(text) for text in self.texts]

    @property
    def lengths(self) -> list[int]:
        """Words of each text."""
        return [len(placed) for placed in self._placed]

    def rounds(self, words: int) -> list[list[Cut | None]]:
        """Each time over, the texts cut to so many words; None for one that has fewer."""
        cuts = [
            Cut([word for word, _, _ in placed[:words]], text[: placed[words - 1][2]]) if len(placed) >= words else None
            for text, placed in zip(self.texts, self._placed, strict=True)
        ]
        return [cuts[start : start + len(self.groups)] for start in range(0, len(cuts), len(self.groups))]


def measured(sets: Sequence[tuple[Texts, Texts]], words: int) -> list[dict[str, Any]]:
    """For texts and the real ones that go on from the same prompts: how varied they are, each time over and on average,
    how well they are told from the real ones and, with mauve-text, how near they are to them.

    All are cut to `words` words, and of every set and each time as many are taken. A figure is None where fewer than
    half of the texts, or than `FEWEST`, have so many words: it would be one of the few good texts.
    """
    most = _most([len(_long(cuts)) for cuts in own.rounds(words)] for own, _ in sets)
    pairs = _most([len(_pairs(cuts, own, real, words)[0]) for cuts in own.rounds(words)] for own, real in sets)
    return [_measured(own, real, words, most, pairs) for own, real in sets]


def _most(counts: Any) -> int:
    """As many as every set has each time, those left out that have too few."""
    return min((least for of_set in counts if (least := min(of_set)) >= FEWEST), default=0)


def _long(cuts: Sequence[Cut | None]) -> list[Cut]:
    return [cut for cut in cuts if cut]


def _measured(own: Texts, real: Texts, words: int, most: int, pairs: int) -> dict[str, Any]:
    rounds = own.rounds(words)
    long = [_long(cuts) for cuts in rounds]
    beside = [_pairs(cuts, own, real, words) for cuts in rounds]
    least = min(map(len, long))
    enough = 0 < most <= least and least >= len(own.groups) / 2
    found: dict[str, Any] = {
        "enough": sum(map(len, long)) / len(own.texts),
        "words": statistics.median(own.lengths),
        "texts": most * len(rounds) if enough else 0,
    }
    varied = [_varied([cut.words for cut in cuts[:most]]) for cuts in long]
    for name in varied[0]:
        figures = [figure[name] for figure in varied]
        found[name] = statistics.fmean(figures) if enough else None
        found[f"{name}_range"] = [min(figures), max(figures)] if enough else None
    told = near = None
    if enough and 0 < pairs <= min(len(of_round.real) for of_round in beside):
        some = [of_round.first(pairs) for of_round in beside]
        told = told_apart(some)._asdict()
        figures = [figure for found in some if (figure := mauve(found.others, found.real)) is not None]
        near = statistics.fmean(figures) if figures else None
    return {**found, "told": told, "mauve": near}


def _pairs(cuts: Sequence[Cut | None], own: Texts, real: Texts, words: int) -> Pairs:
    """The texts of one time that are long enough, each with the real one of its prompt."""
    rows = [
        (theirs.words, cut.words, group, own_group)
        for cut, theirs, own_group, group in zip(cuts, real.rounds(words)[0], own.groups, real.groups, strict=False)
        if cut and theirs
    ] if real.texts else []  # fmt: skip
    return Pairs(*zip(*rows, strict=True)) if rows else Pairs([], [], [], [])


def _varied(texts: Sequence[Words]) -> dict[str, float]:
    return {
        **{f"distinct_{size}": distinct(texts, size) for size in (1, 2, 3)},
        "self_bleu": self_bleu(texts),
        "repetition": statistics.fmean([repetition(words) for words in texts] or [0.0]),
    }


def copies(sets: Sequence[Texts], words: int, training: TrainingWords) -> list[dict[str, Any]]:
    """How much of each set stands in the training split, word for word: the longest runs, which are of whole texts, and
    shares of texts that are cut to `words` words, None where too few have so many."""
    whole = [text for own in sets for text in own.texts]
    cut = [[cut.text for cuts in own.rounds(words) for cut in _long(cuts)] for own in sets]
    found = iter(copied([*whole, *(text for texts in cut for text in texts)], training))
    longest = [[next(found).longest for _ in own.texts] for own in sets]
    shares = [[next(found) for _ in texts] for texts in cut]
    return [
        {**_longest(runs, len(own.groups)), **_shares(some if len(some) >= len(own.texts) / 2 else [])}
        for own, runs, some in zip(sets, longest, shares, strict=True)
    ]


def _longest(runs: Sequence[int], prompts: int) -> dict[str, Any]:
    """The most words in a row of each time over: the median of these, and their range; the share of texts with many."""
    each = [max(runs[start : start + prompts]) for start in range(0, len(runs), prompts)]
    return {
        "longest_words": statistics.median_high(each),
        "longest_words_range": [min(each), max(each)],
        "copying_texts": statistics.fmean(run >= max(SIZES) for run in runs),
    }


def _shares(texts: Sequence[Copied]) -> dict[str, Any]:
    names = [*(f"share_{size}gram" for size in SIZES), "likeness"]
    if len(texts) < FEWEST:
        return dict.fromkeys(names)
    runs = [sum(t.found[size] for t in texts) / max(1, sum(t.runs[size] for t in texts)) for size in SIZES]
    return dict(zip(names, [*runs, statistics.median(t.likeness for t in texts)], strict=True))
