"""How varied texts are, as words in lower case without punctuation: case and spacing, which a word model only guesses,
count for nothing. All of these depend on how much text there is: compare as many texts of the same length."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Words = Sequence[str]


def runs(words: Words, size: int) -> list[tuple[str, ...]]:
    """All runs of so many words, in order."""
    return list(zip(*(words[i:] for i in range(size)), strict=False))


def distinct(texts: Sequence[Words], size: int) -> float:
    """Different runs of `size` words over all runs (distinct-n, Li et al. 2016): 1 where none occurs twice."""
    found = [run for words in texts for run in runs(words, size)]
    return len(set(found)) / max(1, len(found))


def repetition(words: Words, size: int = 4) -> float:
    """Share of a text's runs of `size` words that it has had before (seq-rep-n, Welleck et al. 2020)."""
    found = runs(words, size)
    return 1 - len(set(found)) / len(found) if found else 0.0


def self_bleu(texts: Sequence[Words], order: int = 4) -> float:
    """The mean BLEU of each text against all others (Zhu et al. 2018), 0 to 1: high where texts resemble each other.

    BLEU of a sentence as in sacrebleu: exponential smoothing, effective order. 0 of fewer than two texts.
    """
    if len(texts) < 2:
        return 0.0
    counts = [[Counter(runs(words, size)) for words in texts] for size in range(1, order + 1)]
    twice = [_two_highest(of_size) for of_size in counts]
    lengths = sorted(map(len, texts))
    total = 0.0
    for i, words in enumerate(texts):
        precisions, correct = [], 0
        smoothing = 1
        for own, highest in zip([of_size[i] for of_size in counts], twice, strict=True):
            if not (all_of_them := sum(own.values())):
                break
            hits = sum(min(count, _highest_of_others(highest[run], count)) for run, count in own.items())
            correct += hits
            smoothing *= 1 if hits else 2
            precisions.append(hits / all_of_them if hits else 1 / (smoothing * all_of_them))
        if correct:
            shortfall = 1 - _nearest_length(lengths, len(words)) / len(words)
            total += math.exp(min(0.0, shortfall) + sum(map(math.log, precisions)) / len(precisions))
    return total / len(texts)


def _two_highest(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """For each run the highest count of a text, and the second highest."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for own in counts:
        for run, count in own.items():
            first, second = found.get(run, (0, 0))
            found[run] = (count, first) if count > first else (first, max(second, count))
    return found


def _highest_of_others(highest: tuple[int, int], own: int) -> int:
    """Of a text that has `own` of a run, the highest count of another text."""
    first, second = highest
    return second if own == first else first


def _nearest_length(lengths: list[int], own: int) -> int:
    """The length of another text that is nearest, the shorter one of two."""
    others = list(lengths)
    others.remove(own)
    return min(others, key=lambda length: (abs(length - own), length))
