"""What written texts are like, compared with real ones: as many of each, all cut to one length, in lower case without
punctuation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from arasuji.corpus.originality import COPY_WORDS, SIZES, Copied, copied
from arasuji.corpus.script import placed_words
from arasuji.corpus.suffixes import Suffixes
from arasuji.evaluation.diversity import Words, distinct, repetition, self_bleu
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

    def part(self, start: int, count: int) -> Texts:
        """Some of the texts of one round."""
        return Texts(self.texts[start : start + count], self.groups[start : start + count])

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


def measured(own: Texts, words: int, most: int) -> TextMeasures:
    """How varied texts are, on average over the rounds: `most` of each round, cut to `words` words. A figure is None
    where too few are long enough (see `least`)."""
    rounds, enough = own.rounds(words), least(own, words) > 0
    found: dict[str, Any] = {
        "long_enough": sum(map(len, rounds)) / len(own.texts),
        "words": statistics.median(own.lengths),
        "texts": most * len(rounds) if enough else 0,
    }
    varied = [_varied([cut.words for cut in cuts[:most]]) for cuts in rounds]
    for name in varied[0]:
        figures = [figure[name] for figure in varied]
        found[name] = statistics.fmean(figures) if enough else None
        found[f"{name}_range"] = (min(figures), max(figures)) if enough else None
    return TextMeasures(**found)


def least(own: Texts, words: int, enough: int = FEWEST) -> int:
    """The number of texts that have `words` words, in the round that has the fewest; 0 where these are fewer than half
    or than `enough`: a figure of them would be that of the few good texts."""
    fewest = min(map(len, own.rounds(words)), default=0)
    return fewest if fewest >= max(enough, len(own.groups) / 2) else 0


def most_of_all(sets: Sequence[Texts], words: int, enough: int = FEWEST) -> int:
    """As many texts of each round as every set has, of those that have enough."""
    return min((fewest for own in sets if (fewest := least(own, words, enough))), default=0)


def _varied(texts: Sequence[Words]) -> dict[str, float]:
    return {
        **{f"distinct_{size}": distinct(texts, size) for size in (1, 2, 3)},
        "self_bleu": self_bleu(texts),
        "repetition": statistics.fmean([repetition(words) for words in texts] or [0.0]),
    }


def copies(sets: Sequence[Texts], words: int, training: Suffixes) -> list[Originality]:
    """How much of each set stands word for word in the training split: the most words in a row, of whole texts, and
    shares of texts that are cut to `words` words, which are None where too few are long enough."""
    found = []
    for own in sets:
        longest = [copied(text, training).longest for text in own.texts]
        cut = [cut.text for cuts in own.rounds(words) for cut in cuts]
        enough = cut if len(cut) >= len(own.texts) / 2 else []
        shares = _shares([copied(text, training) for text in enough])
        found.append(Originality(**_longest(longest, len(own.groups)), **shares))
    return found


def _longest(longest: Sequence[int], prompts: int) -> dict[str, Any]:
    """The most words in a row of each round: their median and their range; and the share of texts with many."""
    each = [max(longest[start : start + prompts]) for start in range(0, len(longest), prompts)]
    return {
        "longest_words": statistics.median_high(each),
        "longest_words_range": (min(each), max(each)),
        "copying_texts": statistics.fmean(words >= COPY_WORDS for words in longest),
    }


def _shares(texts: Sequence[Copied]) -> dict[str, Any]:
    names = [*(f"share_{size}gram" for size in SIZES), "containment"]
    if len(texts) < FEWEST:
        return dict.fromkeys(names)
    shares = [sum(t.found[size] for t in texts) / max(1, sum(t.shingles[size] for t in texts)) for size in SIZES]
    return dict(zip(names, [*shares, statistics.median(t.containment for t in texts)], strict=True))
