"""Where sequences of words stand in the training split: all its suffixes in order (a suffix array; Manber and Myers
1990).

A suffix begins at a word and ends with its text. Sequences that begin alike lie side by side, so all places of a
sequence are found by two binary searches.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from arasuji.corpus.filter import SequenceFilter
from arasuji.corpus.folder import SUFFIXES, Corpus
from arasuji.corpus.index import TrainingWords, read_array, training_words
from arasuji.corpus.script import CHARACTERS_PER_WORD, is_unspaced
from arasuji.errors import StorageError
from arasuji.folders import MANIFEST, new_folder, open_folder, seal

LAYOUT = 1
"""The version of what is kept: it is raised when words are found, or put in order, in another way."""

UNKNOWN = -1
"""The number of a word that the training split does not have."""
END = -2
"""Stands behind the last word of each text, sorts before every word, and is no word, not even an unknown one."""


class Match(NamedTuple):
    """A sequence of a text that stands in the training split."""

    start: int
    """The place of its first word in the text."""
    length: int
    """The number of its words."""
    low: int
    """Where in the order the suffixes with its first `least` words begin."""
    high: int
    """Where they end."""


@dataclass(frozen=True, eq=False)
class Suffixes:
    """The training words, and the places of all of them in the order of what stands there."""

    words: TrainingWords
    order: np.ndarray
    """(N,) int32: places in `words.numbers`, in the order of the words from there to the end of the text."""
    corpus: str = ""
    """The hash of the corpus."""
    _filters: dict[int, SequenceFilter] = field(default_factory=dict, repr=False)

    @cached_property
    def word_size(self) -> int:
        """The number of words that count as one: `CHARACTERS_PER_WORD` where most are characters of a script without
        spaces."""
        unspaced = np.array([is_unspaced(word) for word in self.words.number_of], bool)
        share = unspaced[self.words.numbers].mean() if len(self.words.numbers) else 0.0
        return CHARACTERS_PER_WORD if share > 0.5 else 1

    @cached_property
    def _ends(self) -> np.ndarray:
        return _ends_of(self.words)

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview, memoryview]:
        """The order, the words and whether a place is the last one of its text: one number is read from a view in half
        the time that an array takes."""
        return self.order.data, self.words.numbers.data, self._ends.data

    @cached_property
    def _firsts(self) -> np.ndarray:
        """Where in the order each first word begins, and the end of the last one, (different words + 1,)."""
        return np.concatenate([[0], self.words.counts().cumsum()])

    def find(self, sequence: Sequence[int]) -> tuple[int, int]:
        """The part of the order where a sequence of words, at least one, stands: its start and its end."""
        first = sequence[0]
        low, high = int(self._firsts[first]), int(self._firsts[first + 1])
        for depth, word in enumerate(sequence[1:], 1):
            if low == high:
                break
            low, high = self._within(low, high, depth, word)
        return low, high

    def _within(self, low: int, high: int, depth: int, word: int) -> tuple[int, int]:
        """The part of a part, whose suffixes have the same first `depth` words, that has `word` after them."""
        at = _After(self, depth)
        low = bisect_left(at, word, low, high)
        return low, bisect_right(at, word, low, high)

    def matches(self, text: Sequence[int], least: int) -> list[Match]:
        """The sequences of a text that stand in the training split: for each place the longest one that begins there,
        if it has `least` words."""
        found, whole = [], np.array(text, np.int32)
        for start in self.filter(least).passing(whole, least).tolist():
            sequence = text[start : start + least]
            if UNKNOWN not in sequence:
                low, high = self.find(sequence)
                if low < high:
                    found.append(Match(start, self._longest(whole[start:], least, low, high), low, high))
        return found

    def _longest(self, text: np.ndarray, depth: int, low: int, high: int) -> int:
        """The number of words of the longest beginning of a text that stands in a part, whose suffixes have its first
        `depth` words."""
        while high - low > 1 and depth < len(text):
            part = self._within(low, high, depth, int(text[depth]))
            if part[0] == part[1]:
                return depth
            (low, high), depth = part, depth + 1
        place = int(self.order[low])
        end = self.words.starts[self.texts_of(low, low + 1)[0] + 1]
        most = min(len(text), int(end) - place)
        other = text[depth:most] != self.words.numbers[place + depth : place + most]
        return depth + (int(other.argmax()) if other.any() else len(other))

    def texts_of(self, low: int, high: int) -> np.ndarray:
        """The numbers of the texts of a part of the order, (high - low,) int64."""
        return np.searchsorted(self.words.starts, self.order[low:high], "right") - 1

    def filter(self, length: int) -> SequenceFilter:
        """Which sequences of some length may stand in the training split."""
        if length not in self._filters:
            self._filters[length] = SequenceFilter.of(self.words.numbers, length)
        return self._filters[length]

    def following(self, sequence: Sequence[int]) -> dict[int, np.ndarray]:
        """The different words that follow a sequence, each with the numbers of the texts where it does."""
        low, high = self.find(sequence)
        if low == high:
            return {}
        places = self.order[low:high].astype(np.int64) + len(sequence)
        places = places[~self._ends[places - 1]]
        after = self.words.numbers[places]
        texts = np.searchsorted(self.words.starts, places, "right") - 1
        return {int(word): np.unique(texts[after == word]) for word in np.unique(after)}


class _After:
    """The word at some depth of each suffix, in their order, as a sequence that `bisect` takes."""

    def __init__(self, suffixes: Suffixes, depth: int) -> None:
        self.order, self.numbers, self.ends = suffixes._views
        self.depth = depth

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, i: int) -> int:
        place = self.order[i] + self.depth
        # All suffixes of a part have `depth` words, so only the last one of these can be the last of the text.
        return END if self.ends[place - 1] else self.numbers[place]


def sorted_suffixes(words: TrainingWords) -> Suffixes:
    """Put the suffixes in order, by one word, two, four, ... (prefix doubling); equal ones stay in the order of their
    places. Takes 32 bytes a word while it works."""
    numbers, lengths = words.numbers, np.diff(words.starts)
    count = len(numbers)
    left = np.repeat(words.starts[1:], lengths).astype(np.int32) - np.arange(count, dtype=np.int32)
    ranks, width = numbers + np.int32(1), 1  # numbers of 32 bits where they do: a corpus may have many words
    while width < lengths.max(initial=0) and ranks.max() < count:
        keys = ranks.astype(np.int64) * (int(ranks.max()) + 1)
        keys[: count - width] += np.where(left[: count - width] > width, ranks[width:], 0)
        order = np.argsort(keys)
        keys = keys[order]
        ranks[order[0]] = 1
        ranks[order[1:]] = 1 + np.cumsum(keys[1:] != keys[:-1], dtype=np.int32)
        width *= 2
    return Suffixes(words, np.argsort(ranks, kind="stable").astype(np.int32))


def suffixes_of(folder: Path) -> Suffixes:
    """The suffixes of the corpus in `folder`: in the order that is kept there, or else put in order now and kept. A
    second call for the same corpus returns the same object.

    Raises:
        CorpusError: the folder is missing, damaged, or not a corpus.
    """
    try:
        manifest = (folder / MANIFEST).stat()
    except OSError:
        Corpus.load(folder)  # says what is wrong
        raise
    return _suffixes_of(folder.resolve(), (manifest.st_ino, manifest.st_mtime_ns))


@lru_cache(2)
def _suffixes_of(folder: Path, version: tuple[int, int]) -> Suffixes:
    """`version` tells one corpus in a folder from the next one."""
    words, hash = training_words(folder), Corpus.load(folder).hash
    found = open_folder(folder / SUFFIXES, "order.npy")
    if found and found[1].get("of") == [LAYOUT, hash]:
        with suppress(FileNotFoundError, ValueError):  # the folder may come from anyone
            order = read_array(found[0] / "order.npy")
            if _is_order_of(order, words):
                return Suffixes(words, order, hash)
    made = sorted_suffixes(words)
    with suppress(StorageError), new_folder(folder / SUFFIXES) as target:  # else nothing is kept
        np.save(target / "order.npy", made.order)
        seal(target, {"of": [LAYOUT, hash]})
    return Suffixes(words, made.order, hash)


def _is_order_of(order: np.ndarray, words: TrainingWords) -> bool:
    """Whether each place stands there once, and each suffix after those that are less. Of two suffixes that begin with
    the same word the one is less whose rest is less, and the rest is a suffix too."""
    count = len(words.numbers)
    if order.dtype != np.int32 or order.shape != (count,) or (count and not 0 <= order.min() <= order.max() < count):
        return False
    ranks = np.full(count + 1, -1, np.int64)
    ranks[order] = np.arange(count)
    if (ranks[:count] < 0).any():
        return False
    rests = ranks[1:]
    rests[_ends_of(words)] = -1
    first, rest = words.numbers[order], rests[order]
    return bool(((first[:-1] < first[1:]) | ((first[:-1] == first[1:]) & (rest[:-1] <= rest[1:]))).all())


def _ends_of(words: TrainingWords) -> np.ndarray:
    """Whether a place is the last one of its text, (N,) bool."""
    ends = np.zeros(len(words.numbers), bool)
    ends[words.starts[1:][np.diff(words.starts) > 0] - 1] = True
    return ends
