"""How much of a text stands in the training split: exactly, word by word, whatever its case and punctuation.

The texts in question become a suffix automaton, which knows every run of their words; the training split is then read
through it once, word by word. Time grows with the training split, memory with the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arasuji.corpus.index import TrainingWords
from arasuji.corpus.script import placed_words

SIZES = (4, 8, 13)
"""Words of the runs whose share is told; 13 in a row are hardly ever chance (Brown et al. 2020, appendix C)."""
MARKED = 8
"""Words of the shortest run that is marked as copied."""
RUN = 3
"""Words of the runs by which the nearest training text is found, as near-duplicates are (`corpus.near`)."""


@dataclass(frozen=True)
class Copied:
    """What of one text stands in the training split."""

    longest: int
    """Words of the longest run."""
    found: dict[int, int]
    """Runs of so many words that are found there,"""
    runs: dict[int, int]
    """and all such runs of the text."""
    spans: list[tuple[int, int]]
    """The characters of the runs of at least `MARKED` words, in order."""
    nearest: int | None
    """The number of the training text that has most of the text's runs of 3 words."""
    likeness: float
    """The share of them that it has."""


class Automaton:
    """A suffix automaton of several texts (Blumer et al. 1985): each state stands for runs of words that end at the
    same places, the longest of which has `length` words; `link` leads to the longest run that has lost its first words
    and ends elsewhere too."""

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
        """A state of its own for the shorter runs of `known`, which now end elsewhere too."""
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
        """For each state, how many words of its longest run stand in a row in one of the texts, as its end."""
        following, link, length = self.following, self.link, self.length
        best = [0] * len(length)
        for text in texts:
            state = run = 0
            for word in text:
                while state and word not in following[state]:
                    state = link[state]
                    run = length[state]
                if word in following[state]:
                    state, run = following[state][word], run + 1
                    if run > best[state]:
                        best[state] = run
        for state in sorted(range(1, len(best)), key=length.__getitem__, reverse=True):
            if best[state]:  # then the shorter runs stand there as well, whole
                best[link[state]] = length[link[state]]
        return best


def longest_runs(texts: Sequence[Sequence[int]], others: Iterable[Sequence[int]]) -> list[list[int]]:
    """For each word of each text, how many words there are in the longest run that ends with it and stands in one of
    the others."""
    automaton = Automaton(texts)
    best = automaton.matched(others)
    found = []
    for text in texts:
        state, runs = 0, []
        for i, word in enumerate(text):
            state = automaton.following[state][word]
            shorter = state
            while shorter and not best[shorter]:
                shorter = automaton.link[shorter]
            runs.append(min(best[shorter], i + 1))
        found.append(runs)
    return found


def copied(texts: Sequence[str], training: TrainingWords) -> list[Copied]:
    """What of each text stands in the training split."""
    placed = [placed_words(text) for text in texts]
    new = {
        word: -1 - i for i, word in enumerate({w for words in placed for w, _, _ in words} - training.number_of.keys())
    }
    numbers = [[training.number_of[w] if w in training.number_of else new[w] for w, _, _ in words] for words in placed]
    runs = longest_runs(numbers, training.texts())
    nearest = _nearest(numbers, training)
    return [
        Copied(
            longest=max(ends, default=0),
            found={size: sum(run >= size for run in ends) for size in SIZES},
            runs={size: max(0, len(ends) - size + 1) for size in SIZES},
            spans=_spans(words, ends),
            nearest=near,
            likeness=likeness,
        )
        for words, ends, (near, likeness) in zip(placed, runs, nearest, strict=True)
    ]


def _spans(words: list[tuple[str, int, int]], ends: list[int]) -> list[tuple[int, int]]:
    """The characters of the long runs; those that overlap are one."""
    spans: list[tuple[int, int]] = []
    for i, run in enumerate(ends):
        if run >= MARKED:
            start, end = words[i - run + 1][1], words[i][2]
            if spans and start <= spans[-1][1]:
                start = min(start, spans.pop()[0])
            spans.append((start, end))
    return spans


def _nearest(texts: list[list[int]], training: TrainingWords) -> list[tuple[int | None, float]]:
    """For each text the number of the training text with most of its runs of 3 words, and their share."""
    runs = [set(zip(text, text[1:], text[2:], strict=False)) for text in texts]
    having: dict[tuple[int, ...], list[int]] = {}
    for i, own in enumerate(runs):
        for run in own:
            having.setdefault(run, []).append(i)
    most = [0] * len(texts)
    place: list[int | None] = [None] * len(texts)
    for number, text in enumerate(training.texts()):
        shared: dict[int, int] = {}
        for run in set(zip(text, text[1:], text[2:], strict=False)) & having.keys():
            for i in having[run]:
                shared[i] = shared.get(i, 0) + 1
        for i, count in shared.items():
            if count > most[i]:
                most[i], place[i] = count, number
    return [(near, count / max(1, len(own))) for near, count, own in zip(place, most, runs, strict=True)]
