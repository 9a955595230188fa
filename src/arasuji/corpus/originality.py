"""How much of a text stands in the training split: exactly, word by word, whatever its case and punctuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arasuji.corpus.script import placed_words
from arasuji.corpus.shingles import shingles
from arasuji.corpus.suffixes import UNKNOWN, Suffixes

COPY_WORDS = 13
"""A sequence of this many words that stands in a training text is hardly ever there by chance (Brown et al. 2020,
appendix C)."""
SIZES = (4, 8, COPY_WORDS)
"""The sizes of the shingles whose share is measured."""
MARKED = 8
"""The least number of words in a row that is marked as copied."""
SHINGLE = SIZES[0]
"""The size of the shingles by which the nearest training text is found."""


@dataclass(frozen=True)
class Copied:
    """What of one text stands in the training split."""

    longest: int
    """The most words in a row."""
    span: tuple[int, int]
    """Their first character and the one after their last; (0, 0) where there are none."""
    source: int | None
    """The number of the first training text that has them."""
    found: dict[int, int]
    """The number of shingles that are found there, by their size."""
    shingles: dict[int, int]
    """The number of all shingles of the text, by their size."""
    spans: list[tuple[int, int]]
    """The characters that are copied, from and to, `MARKED` words in a row or more, in order."""
    nearest: int | None
    """The number of the training text that has most of the text's different shingles of `SHINGLE` words, twice as many
    characters in a script without spaces."""
    containment: float
    """The share of them that it has."""


def copied(text: str, training: Suffixes, start: int = 0) -> Copied:
    """What of a text stands in the training split. Sequences that end before the character `start`, up to which it is a
    prompt, are left out."""
    placed = placed_words(text)
    words = [word for word, _, _ in placed]
    numbers = [training.words.number_of.get(word, UNKNOWN) for word in words]
    prompt = sum(end <= start for _, _, end in placed)

    def characters(first: int, length: int) -> tuple[int, int]:
        return placed[first][1], placed[first + length - 1][2]

    matches = []
    shingle_size = SHINGLE * training.word_size
    for size in range(SHINGLE, 0, -1):  # short ones matter only where there is no longer one
        matches = [match for match in training.matches(numbers, size) if match.start + match.length > prompt]
        if matches:
            break
    longest = max(matches, key=lambda match: match.length, default=None)
    sequence = numbers[longest.start : longest.start + longest.length] if longest else []
    own = {shingle: i for i, shingle in enumerate(shingles(words, shingle_size)) if i + shingle_size > prompt}
    sharing = [
        np.unique(
            training.texts_of(match.low, match.high)
            if size == shingle_size
            else training.texts_of(*training.find(numbers[match.start : match.start + shingle_size]))
        )
        for match in matches
        if match.length >= shingle_size
        and own.get(tuple(words[match.start : match.start + shingle_size])) == match.start
    ]
    shared = np.bincount(np.concatenate(sharing)) if sharing else np.zeros(1, np.int64)
    return Copied(
        longest=len(sequence),
        span=characters(longest.start, longest.length) if longest else (0, 0),
        source=int(training.texts_of(*training.find(sequence)).min()) if longest else None,
        found={size: sum(m.length >= size and m.start + size > prompt for m in matches) for size in SIZES},
        shingles={size: max(0, len(words) - max(prompt, size - 1)) for size in SIZES},
        spans=_joined([characters(m.start, m.length) for m in matches if m.length >= MARKED]),
        nearest=int(shared.argmax()) if sharing else None,
        containment=int(shared.max()) / max(1, len(own)),
    )


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in the order of their beginnings; those that overlap are one."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            start, end = joined[-1][0], max(end, joined.pop()[1])
        joined.append((start, end))
    return joined
