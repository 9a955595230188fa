"""How varied texts are, as words in lower case without punctuation, since a word model only guesses case and spacing.

All of these figures depend on how much text there is: compare as many texts of the same length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from arasuji.corpus.shingles import shingles

Words = Sequence[str]


def distinct(texts: Sequence[Words], size: int) -> float:
    """The different shingles of `size` words over all shingles (distinct-n, Li et al. 2016): 1 if none comes twice."""
    found = [shingle for words in texts for shingle in shingles(words, size)]
    return len(set(found)) / max(1, len(found))


def repetition(words: Words, size: int = 4) -> float:
    """The share of a text's shingles that have occurred in it before (seq-rep-n, Welleck et al. 2020)."""
    found = list(shingles(words, size))
    return 1 - len(set(found)) / len(found) if found else 0.0


def self_bleu(texts: Sequence[Words], order: int = 4) -> float:
    """The mean BLEU of each text against all others (Zhu et al. 2018), 0 to 1: high where texts resemble each other.

    BLEU of a sentence as in sacrebleu: exponential smoothing, effective order. 0 of fewer than two texts.
    """
    if len(texts) < 2:
        return 0.0
    counts = [[Counter(shingles(words, size)) for words in texts] for size in range(1, order + 1)]
    highest_counts = [_two_highest(of_size) for of_size in counts]
    lengths = sorted(map(len, texts))
    total = 0.0
    for i, words in enumerate(texts):
        precisions, correct = [], 0
        smoothing = 1
        for own, highest in zip([of_size[i] for of_size in counts], highest_counts, strict=True):
            if not (total_count := sum(own.values())):
                break
            hits = sum(min(count, _highest_of_others(highest[shingle], count)) for shingle, count in own.items())
            correct += hits
            smoothing *= 1 if hits else 2
            precisions.append(hits / total_count if hits else 1 / (smoothing * total_count))
        if correct:
            shortfall = 1 - _nearest_length(lengths, len(words)) / len(words)
            total += math.exp(min(0.0, shortfall) + sum(map(math.log, precisions)) / len(precisions))
    return total / len(texts)


def _two_highest(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """For each shingle the highest count that a text has of it, and the second highest."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for own in counts:
        for shingle, count in own.items():
            first, second = found.get(shingle, (0, 0))
            found[shingle] = (count, first) if count > first else (first, max(second, count))
    return found


def _highest_of_others(highest: tuple[int, int], own: int) -> int:
    """The highest count of another text, for a text that has the count `own`."""
    first, second = highest
    return second if own == first else first


def _nearest_length(lengths: list[int], own: int) -> int:
    """The length of another text that is nearest to this one's, the shorter one of two."""
    others = list(lengths)
    others.remove(own)
    return min(others, key=lambda length: (abs(length - own), length))
