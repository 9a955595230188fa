"""What texts are like beside real ones: all cut to as many words, as many of each, case and punctuation left out."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.evaluation.diversity import Words, distinct, repetition, self_bleu
from arasuji.evaluation.mauve import mauve
from arasuji.evaluation.originality import SIZES, Copied, copied
from arasuji.evaluation.tell import told_apart

FEWEST = 20
"""Texts that a measure needs."""


class Cut(NamedTuple):
    """A text's first words, how it is written up to there, and the group of its prompt."""

    words: Words
    text: str
    group: str


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

    def rounds(self, words: int) -> list[list[Cut]]:
        """Each time over, the texts that have so many words, cut to them."""
        times = len(self.texts) // max(1, len(self.groups))
        found: list[list[Cut]] = [[] for _ in range(times)]
        for i, (text, placed) in enumerate(zip(self.texts, self._placed, strict=True)):
            if len(placed) >= words:
                cut = Cut(
                    [word for word, _, _ in placed[:words]],
                    text[: placed[words - 1][2]],
                    self.groups[i % len(self.groups)],
                )
                found[i // len(self.groups)].append(cut)
        return found


def measured(sets: Sequence[tuple[Texts, Texts]], words: int) -> Iterator[dict[str, Any]]:
    """For texts and real ones: how varied they are, each time over and on average, how well they are told from the real
    ones and, with mauve-text, how near they are to them.

    All are cut to `words` words, and of every set and each time as many are taken. A figure is None where fewer than
    half of the texts, or than `FEWEST`, have so many words: it would be one of the few good texts.
    """
    most = min((least for own, _ in sets if (least := _least(own, words))), default=0)
    for own, real in sets:
        yield _measured(own, real, words, most)


def _least(own: Texts, words: int) -> int:
    """The texts of each time that are long enough; 0 where these are too few to be measured."""
    least = min(map(len, own.rounds(words)))
    return least if least >= max(FEWEST, len(own.groups) / 2) else 0


def _measured(own: Texts, real: Texts, words: int, most: int) -> dict[str, Any]:
    rounds, beside = own.rounds(words), [cut for cuts in real.rounds(words) for cut in cuts]
    enough = _least(own, words) > 0
    found: dict[str, Any] = {
        "enough": sum(map(len, rounds)) / len(own.texts),
        "words": statistics.median(own.lengths),
        "texts": most * len(rounds) if enough else 0,
    }
    varied = [_varied([cut.words for cut in cuts[:most]]) for cuts in rounds]
    for name in varied[0]:
        figures = [figure[name] for figure in varied]
        found[name] = statistics.fmean(figures) if enough else None
        found[f"{name}_range"] = [min(figures), max(figures)] if enough else None
    each = min(most, len(beside) // len(rounds))
    some = [cut for cuts in rounds for cut in cuts[:each]]
    if not enough or len(some) < FEWEST:
        return {**found, "told": None, "mauve": None}
    theirs = beside[: len(some)]
    told = told_apart(
        [cut.words for cut in theirs],
        [cut.words for cut in some],
        [cut.group for cut in theirs],
        [cut.group for cut in some],
    )
    strangers = [cut for cut in beside if cut.group not in own.groups]  # as all are to the real texts of these prompts
    return {**found, "told": told._asdict(), "mauve": _near(rounds, strangers, min(most, len(strangers)))}


def _near(rounds: Sequence[Sequence[Cut]], real: Sequence[Cut], count: int) -> float | None:
    """MAUVE of each time over, on average: it depends on how many texts there are."""
    if count < FEWEST:
        return None
    beside = [cut.words for cut in real[:count]]
    figures = [mauve([cut.words for cut in cuts[:count]], beside) for cuts in rounds]
    known = [figure for figure in figures if figure is not None]
    return statistics.fmean(known) if known else None


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
    cut = [[cut.text for cuts in own.rounds(words) for cut in cuts] for own in sets]
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
