"""No long sequence of words of the training split is written: what would complete one is forbidden before a token is
drawn, as in MEMFREE (Ippolito et al. 2022), but word by word, whatever the tokens are.

A prompt may stand in the training split; what is written after it must not continue a copy that the prompt begins.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property, lru_cache
from typing import Self

import numpy as np

from arasuji.corpus.filter import BASE, MASK, SequenceFilter, hash_of
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import UNKNOWN, Suffixes
from arasuji.generation.pieces import UNCERTAIN_WORDS, Pieces
from arasuji.generation.words import SequenceRule, WordProcessor, Words

COMMON = 10
"""A sequence that this many texts of the training split have is a formula."""
RECENT = 256
"""What follows this many sequences, the last that were looked for, is kept."""


@lru_cache(4)
def forbidden_copies(suffixes: Suffixes, pieces: Pieces, longest: int) -> Forbidden:
    """The sequences of more than `longest` words that may not be written, kept for the next texts of the same model."""
    return Forbidden(suffixes, pieces, longest * suffixes.word_size)


class Forbidden:
    """The sequences of the training split that may not be written: what the guards of all texts of one model share."""

    def __init__(self, suffixes: Suffixes, pieces: Pieces, longest: int, common: int = COMMON) -> None:
        """A sequence of more than `longest` words is not written, unless `common` texts of the training split have
        it."""
        self.suffixes, self.pieces, self.longest, self.common = suffixes, pieces, longest, common
        self.number_of = suffixes.words.number_of
        self.word_at = list(self.number_of)
        self._following = lru_cache(RECENT)(self._looked_for)

    def completing(self, words: Words) -> Collection[str]:
        """The words that would complete a sequence that may not be written."""
        if len(words) < self.longest:
            return ()
        found = self._following(words[-self.longest :])
        return [self.word_at[word] for word, texts in found.items() if len(texts) < self.common]

    def beginning(self, words: Words) -> Collection[str]:
        """The words with which a token of several words may begin that completes such a sequence."""
        if len(words) < self.context:
            return ()
        return [self.word_at[word] for word in self._following(words[-self.context :])]

    def _looked_for(self, words: Words) -> dict[int, np.ndarray]:
        """The words that follow a sequence in the training split, each with the texts where it does."""
        numbers = [self.number_of.get(word, UNKNOWN) for word in words]
        return {} if UNKNOWN in numbers else self.suffixes.following(numbers)

    @cached_property
    def context(self) -> int:
        """So many words before a token decide whether it may complete a copy: one fewer than may be copied for each
        further word that a token may have."""
        return max(1, self.longest + 1 - self.pieces.most)

    @cached_property
    def always(self) -> list[int]:
        """The tokens of so many words that they may complete a copy whatever stands before."""
        several = [token for some in self.pieces.several.values() for token in some]
        long = [token for token in several if len(words_of(self.pieces.tokenizer.decode([token]))) > self.longest]
        return long + (self.pieces.uncertain if self.longest < UNCERTAIN_WORDS else [])

    @cached_property
    def oldest_factor(self) -> int:
        """What the word before the last `context` - 1 ones is multiplied by in a `hash_of` them all."""
        return pow(BASE, self.context - 1, MASK + 1)

    @cached_property
    def filter(self) -> SequenceFilter:
        """What the last `context` words must pass; else no token can complete a copy."""
        return self.suffixes.filter(self.context)


class CopyRule(SequenceRule):
    """Forbids what `Forbidden` says, in one text."""

    def __init__(self, forbidden: Forbidden) -> None:
        self.shared = forbidden
        self.longest, self.always = forbidden.longest, forbidden.always
        self.may_complete = False
        """Whether the last `Forbidden.context` complete words may stand in the training split."""
        self.known: list[int] = []
        """The numbers of the last complete words that the training split has, one after another."""
        self.hash = 0
        """The `hash_of` these, at most one fewer than `Forbidden.context`."""

    def push(self, word: str) -> None:
        """The hash loses the word that is too far away by now (Karp and Rabin 1987)."""
        shared, known = self.shared, self.known
        number = shared.number_of.get(word, UNKNOWN)
        if number == UNKNOWN:
            self.may_complete, self.known, self.hash = False, [], 0
            return
        longer = hash_of((number,), self.hash)
        known.append(number)
        self.may_complete = False
        if len(known) >= shared.context:
            self.may_complete = shared.filter.passes(longer)
            longer = (longer - (known.pop(0) + 1) * shared.oldest_factor) & MASK
        self.hash = longer

    def completing(self, words: Words) -> Collection[str]:
        return self.shared.completing(words)

    def beginning(self, words: Words) -> Collection[str]:
        return self.shared.beginning(words)

    def may_forbid(self, row: WordProcessor) -> bool:
        if self.may_complete or row.waiting or self.always:
            return True
        if len(self.known) < self.shared.context - 1 or not row.open:
            return False
        number = self.shared.number_of.get(row.open, UNKNOWN)
        return number != UNKNOWN and self.shared.filter.passes(hash_of((number,), self.hash))

    def fork(self) -> Self:
        other = type(self)(self.shared)
        other.may_complete, other.known, other.hash = self.may_complete, [*self.known], self.hash
        return other
