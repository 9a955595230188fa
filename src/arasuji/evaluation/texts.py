"""What texts are like beside real ones: all cut to as many words, as many of each, case and punctuation left out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arasuji.corpus.script import words_of
from arasuji.evaluation.diversity import Words, distinct, repetition, self_bleu
from arasuji.evaluation.mauve import mauve
from arasuji.evaluation.originality import SIZES, Copied
from arasuji.evaluation.tell import told_apart

FEWEST = 20
"""Texts that a measure needs."""


@dataclass(frozen=True)
class Texts:
    """Continuations of some prompts, once or several times over: text i is of prompt i modulo the number of prompts."""

    texts: Sequence[str]
    groups: Sequence[str]
    """Of each prompt: texts of one group are not independent of each other."""


def usable(own: Texts, words: int) -> int:
    """The texts of each time over that have so many words; 0 where these are fewer than half, or than `FEWEST`: a
    measure would be one of the few good texts."""
    least = min(len(texts) for texts in _rounds(own, words))
    return least if least >= max(FEWEST, len(own.groups) / 2) else 0


def measured(own: Texts, real: Texts, words: int, most: int) -> dict[str, Any]:
    """How varied texts are, each time over and on average, and how well they are told from real ones, of which the
    first go on from the same prompts. Measures are of `most` texts of so many words, and None where too few have them;
    MAUVE is None without mauve-text, too.
    """
    lengths = [len(words_of(text)) for text in own.texts]
    rounds = _rounds(own, words)
    found: dict[str, Any] = {
        "enough": sum(map(len, rounds)) / len(lengths),
        "words": statistics.median(lengths),
        "texts": most * len(rounds),
    }
    varied = [_varied(texts[:most]) for texts in rounds]
    few = not usable(own, words)
    for name in varied[0]:
        figures = [figure[name] for figure in varied]
        found[name] = None if few else statistics.fmean(figures)
        found[f"{name}_range"] = None if few else [min(figures), max(figures)]
    return {
        **found,
        "told": None if few else _told(own, real, words),
        "mauve": None if few else _mauve([texts[:most] for texts in rounds], real, words),
    }


def _rounds(own: Texts, words: int) -> list[list[Words]]:
    """The texts that have so many words, cut to them, each time over."""
    cut = [words_of(text)[:words] for text in own.texts]
    starts = range(0, len(cut), len(own.groups))
    return [[text for text in cut[start : start + len(own.groups)] if len(text) == words] for start in starts]


def _varied(texts: Sequence[Words]) -> dict[str, float]:
    return {
        **{f"distinct_{size}": distinct(texts, size) for size in (1, 2, 3)},
        "self_bleu": self_bleu(texts),
        "repetition": statistics.fmean([repetition(words) for words in texts] or [0.0]),
    }


def _told(own: Texts, real: Texts, words: int) -> dict[str, float] | None:
    """Against as many real texts of the same length, the same ones each time over."""
    theirs = [words_of(text)[:words] for text in real.texts[: len(own.groups)]]
    pairs = [
        (theirs[i], cut, real.groups[i], own.groups[i])
        for place, text in enumerate(own.texts)
        if (i := place % len(own.groups)) < len(theirs)
        and len(cut := words_of(text)[:words]) == len(theirs[i]) == words
    ]
    if len(pairs) < FEWEST:
        return None
    ones, others, groups, own_groups = zip(*pairs, strict=True)
    return told_apart(ones, others, groups, own_groups)._asdict()


def _mauve(rounds: Sequence[Sequence[Words]], real: Texts, words: int) -> float | None:
    """The mean over the times, each beside as many real texts."""
    theirs = [cut for text in real.texts if len(cut := words_of(text)[:words]) == words]
    pairs = [(texts[: len(theirs)], theirs[: len(texts)]) for texts in rounds]
    found = [mauve(own, beside) for own, beside in pairs if len(own) >= FEWEST]
    figures = [figure for figure in found if figure is not None]
    return statistics.fmean(figures) if figures else None


def copies(texts: Sequence[Copied]) -> dict[str, Any]:
    """How much of texts stands in the training split, word for word."""
    shares = {
        f"share_{size}gram": sum(t.found[size] for t in texts) / max(1, sum(t.runs[size] for t in texts))
        for size in SIZES
    }
    return {
        "longest_words": max((t.longest for t in texts), default=0),
        **shares,
        "copying_texts": sum(t.longest >= max(SIZES) for t in texts) / max(1, len(texts)),
        "likeness": statistics.median([t.likeness for t in texts] or [0.0]),
    }
