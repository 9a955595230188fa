"""What written texts are like, compared with real ones: as many of each, all cut to one length, in lower case without
punctuation."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.evaluation.classifier import classified
from arasuji.evaluation.diversity import Words, distinct, repetition, self_bleu
from arasuji.evaluation.mauve import mauve
from arasuji.evaluation.originality import SIZES, Copied, copied
from arasuji.evaluation.report import Originality, TextMeasures

FEWEST = 20
"""The least number of texts that are measured."""


class Cut(NamedTuple):
    """The beginning of a text."""

    words: Words
    text: str
    """The text up to the end of the last of these words."""
    group: str
    """The group of the text's prompt."""


@dataclass(frozen=True)
class Texts:
    """Continuations of some prompts, in one round or more: text i is of prompt i modulo the number of prompts."""

    texts: Sequence[str]
    groups: Sequence[str]
    """The group of each prompt: texts of one group are not independent of each other."""

    @cached_property
    def _placed(self) -> list[list[tuple[str, int, int]]]:
        return [placed_words(text) for text in self.texts]

    @property
    def lengths(self) -> list[int]:
        """The number of words of each text."""
        return [len(placed) for placed in self._placed]

    def rounds(self, words: int) -> list[list[Cut]]:
        """For each round the texts that have at least `words` words, cut to them."""
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


def measured(sets: Sequence[tuple[Texts, Texts]], words: int) -> Iterator[TextMeasures]:
    """For each pair of written texts and real ones: how varied the written ones are, on average over the rounds, how
    well a classifier tells them from the real ones and, with mauve-text, how near they are to these.

    All are cut to `words` words, and as many texts are taken of every set and each round. A figure is None where fewer
    than half of the texts, or than `FEWEST`, are long enough: it would be that of the few good texts.
    """
    most = min((least for own, _ in sets if (least := _least(own, words))), default=0)
    for own, real in sets:
        yield _measured(own, real, words, most)


def _least(own: Texts, words: int) -> int:
    """The number of texts that are long enough, in the round that has the fewest; 0 where these are too few to be
    measured."""
    least = min(map(len, own.rounds(words)))
    return least if least >= max(FEWEST, len(own.groups) / 2) else 0


def _measured(own: Texts, real: Texts, words: int, most: int) -> TextMeasures:
    rounds, real_cuts = own.rounds(words), [cut for cuts in real.rounds(words) for cut in cuts]
    enough = _least(own, words) > 0
    found: dict[str, Any] = {
        "long_enough": sum(map(len, rounds)) / len(own.texts),
        "words": statistics.median(own.lengths),
        "texts": most * len(rounds) if enough else 0,
        "classifier": None,
        "mauve": None,
    }
    varied = [_varied([cut.words for cut in cuts[:most]]) for cuts in rounds]
    for name in varied[0]:
        figures = [figure[name] for figure in varied]
        found[name] = statistics.fmean(figures) if enough else None
        found[f"{name}_range"] = (min(figures), max(figures)) if enough else None
    each = min(most, len(real_cuts) // len(rounds))
    some = [cut for cuts in rounds for cut in cuts[:each]]
    if enough and len(some) >= FEWEST:
        as_many = real_cuts[: len(some)]
        found["classifier"] = classified(
            [cut.words for cut in as_many],
            [cut.words for cut in some],
            [cut.group for cut in as_many],
            [cut.group for cut in some],
        )
        # MAUVE is to the real texts of other prompts, since that is what real texts can be compared with.
        others = [cut for cut in real_cuts if cut.group not in own.groups]
        found["mauve"] = _mauve(rounds, others, min(most, len(others)))
    return TextMeasures(**found)


def _mauve(rounds: Sequence[Sequence[Cut]], real: Sequence[Cut], count: int) -> float | None:
    """The mean MAUVE of the rounds, of `count` texts each, since it depends on how many there are."""
    if count < FEWEST:
        return None
    real_words = [cut.words for cut in real[:count]]
    figures = [mauve([cut.words for cut in cuts[:count]], real_words) for cuts in rounds]
    known = [figure for figure in figures if figure is not None]
    return statistics.fmean(known) if known else None


def _varied(texts: Sequence[Words]) -> dict[str, float]:
    return {
        **{f"distinct_{size}": distinct(texts, size) for size in (1, 2, 3)},
        "self_bleu": self_bleu(texts),
        "repetition": statistics.fmean([repetition(words) for words in texts] or [0.0]),
    }


def copies(sets: Sequence[Texts], words: int, training: TrainingWords) -> list[Originality]:
    """How much of each set stands word for word in the training split: the most words in a row, of whole texts, and
    shares of texts that are cut to `words` words, which are None where too few are long enough."""
    whole = [text for own in sets for text in own.texts]
    cut = [[cut.text for cuts in own.rounds(words) for cut in cuts] for own in sets]
    found = iter(copied([*whole, *(text for texts in cut for text in texts)], training))
    longest = [[next(found).longest for _ in own.texts] for own in sets]
    shares = [[next(found) for _ in texts] for texts in cut]
    return [
        Originality(**_longest(of_set, len(own.groups)), **_shares(some if len(some) >= len(own.texts) / 2 else []))
        for own, of_set, some in zip(sets, longest, shares, strict=True)
    ]


def _longest(longest: Sequence[int], prompts: int) -> dict[str, Any]:
    """The most words in a row of each round: their median and their range; and the share of texts with many."""
    each = [max(longest[start : start + prompts]) for start in range(0, len(longest), prompts)]
    return {
        "longest_words": statistics.median_high(each),
        "longest_words_range": (min(each), max(each)),
        "copying_texts": statistics.fmean(words >= max(SIZES) for words in longest),
    }


def _shares(texts: Sequence[Copied]) -> dict[str, Any]:
    names = [*(f"share_{size}gram" for size in SIZES), "containment"]
    if len(texts) < FEWEST:
        return dict.fromkeys(names)
    shares = [sum(t.found[size] for t in texts) / max(1, sum(t.shingles[size] for t in texts)) for size in SIZES]
    return dict(zip(names, [*shares, statistics.median(t.containment for t in texts)], strict=True))
