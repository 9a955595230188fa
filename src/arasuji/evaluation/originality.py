"""How much of a text stands in the training split: exactly, word by word, whatever its case and punctuation.

The texts in question become a suffix automaton, which knows every sequence of their words; the training split is then
read through it once, word by word. Time grows with the training split, memory with the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words
from arasuji.corpus.shingles import shingles

COPY_WORDS = 13
"""A sequence of this many words that stands in a training text is hardly ever there by chance (Brown et al. 2020,
appendix C)."""
SIZES = (4, 8, COPY_WORDS)
"""The sizes of the shingles whose share is measured."""
MARKED = 8
"""The least number of words in a row that is marked as copied."""
NEAREST = 3
"""The size of the shingles by which the nearest training text is found, as near-duplicates are (`corpus.near`)."""


@dataclass(frozen=True)
class Copied:
    """What of one text stands in the training split."""

    longest: int
    """The most words in a row."""
    found: dict[int, int]
    """The number of shingles that are found there, by their size."""
    shingles: dict[int, int]
    """The number of all shingles of the text, by their size."""
    spans: list[tuple[int, int]]
    """The characters that are copied, from and to, `MARKED` words in a row or more, in order."""
    nearest: int | None
    """The number of the training text that has most of the text's shingles of `NEAREST` words."""
    containment: float
    """The share of them that it has."""


class Automaton:
    """A suffix automaton of several texts (Blumer et al. 1985): each state stands for sequences of words that end at
    the same places, the longest of which has `length` words; `link` leads to the longest sequence that has lost its
    first words and ends elsewhere too."""

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        self.following: list[dict[int, int]] = [{}]
        self.length, self.link = [0], [-1]
        for text in texts:
            last = 0
            for word in text:
                last = self._extended(last, word)

    def _extended(self, last: int, word: int) -> int:
        """The state of the text so far and one more word."""
        known = self.following[last].get(word)
        if known is not None:  # another text has gone this way
            return known if self.length[known] == self.length[last] + 1 else self._split(last, word, known)
        state = self._new(self.length[last] + 1, {}, 0)
        while last != -1 and word not in self.following[last]:
            self.following[last][word] = state
            last = self.link[last]
        if last != -1:
            known = self.following[last][word]
            apart = self.length[known] != self.length[last] + 1
            self.link[state] = self._split(last, word, known) if apart else known
        return state

    def _split(self, last: int, word: int, known: int) -> int:
        """A state of its own for the shorter sequences of `known`, which now end elsewhere too."""
        shorter = self._new(self.length[last] + 1, dict(self.following[known]), self.link[known])
        self.link[known] = shorter
        while last != -1 and self.following[last].get(word) == known:
            self.following[last][word] = shorter
            last = self.link[last]
        return shorter

    def _new(self, length: int, following: dict[int, int], link: int) -> int:
        self.following.append(following)
        self.length.append(length)
        self.link.append(link)
        return len(self.length) - 1

    def matched(self, texts: Iterable[Sequence[int]]) -> list[int]:
        """For each state, how many of the last words of its longest sequence stand in a row in one of the texts."""
        following, link, length = self.following, self.link, self.length
        best = [0] * len(length)
        for text in texts:
            state = matching = 0
            for word in text:
                while state and word not in following[state]:
                    state = link[state]
                    matching = length[state]
                if word in following[state]:
                    state, matching = following[state][word], matching + 1
                    if matching > best[state]:
                        best[state] = matching
        for state in sorted(range(1, len(best)), key=length.__getitem__, reverse=True):
            if best[state]:  # then the shorter sequences stand there as well, whole
                best[link[state]] = length[link[state]]
        return best


def longest_matches(texts: Sequence[Sequence[int]], others: Iterable[Sequence[int]]) -> list[list[int]]:
    """For each word of each text, the length of the longest sequence of words that ends with it and stands in one of
    the others."""
    automaton = Automaton(texts)
    best = automaton.matched(others)
    found = []
    for text in texts:
        state, matches = 0, []
        for i, word in enumerate(text):
            state = automaton.following[state][word]
            shorter = state
            while shorter and not best[shorter]:
                shorter = automaton.link[shorter]
            matches.append(min(best[shorter], i + 1))
        found.append(matches)
    return found


def copied(texts: Sequence[str], training: TrainingWords) -> list[Copied]:
    """What of each text stands in the training split."""
    placed = [placed_words(text) for text in texts]
    new = {
        word: -1 - i for i, word in enumerate({w for words in placed for w, _, _ in words} - training.number_of.keys())
    }
    numbers = [[training.number_of[w] if w in training.number_of else new[w] for w, _, _ in words] for words in placed]
    matches = longest_matches(numbers, training.texts())
    nearest = _nearest(numbers, training)
    return [
        Copied(
            longest=max(ends, default=0),
            found={size: sum(length >= size for length in ends) for size in SIZES},
            shingles={size: max(0, len(ends) - size + 1) for size in SIZES},
            spans=_spans(words, ends),
            nearest=near,
            containment=containment,
        )
        for words, ends, (near, containment) in zip(placed, matches, nearest, strict=True)
    ]


def _spans(words: list[tuple[str, int, int]], ends: list[int]) -> list[tuple[int, int]]:
    """The characters of the long matches; those that overlap are one."""
    spans: list[tuple[int, int]] = []
    for i, length in enumerate(ends):
        if length >= MARKED:
            start, end = words[i - length + 1][1], words[i][2]
            if spans and start <= spans[-1][1]:
                start = min(start, spans.pop()[0])
            spans.append((start, end))
    return spans


def _nearest(texts: list[list[int]], training: TrainingWords) -> list[tuple[int | None, float]]:
    """For each text the number of the training text that has most of its shingles, and their share."""
    own = [set(shingles(text, NEAREST)) for text in texts]
    having: dict[tuple[int, ...], list[int]] = {}
    for i, some in enumerate(own):
        for shingle in some:
            having.setdefault(shingle, []).append(i)
    most = [0] * len(texts)
    place: list[int | None] = [None] * len(texts)
    for number, text in enumerate(training.texts()):
        shared: dict[int, int] = {}
        for shingle in set(shingles(text, NEAREST)) & having.keys():
            for i in having[shingle]:
                shared[i] = shared.get(i, 0) + 1
        for i, count in shared.items():
            if count > most[i]:
                most[i], place[i] = count, number
    return [(near, count / max(1, len(some))) for near, count, some in zip(place, most, own, strict=True)]
