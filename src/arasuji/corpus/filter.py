"""Which sequences of words may stand in the training split, by a Bloom filter (Bloom 1970) in which each sets two bits.

Of the sequences that do not stand there one in 64 passes it, and is then looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

BITS_PER_WORD = 16
"""The size of the filter."""
AT_ONCE = 2**20
"""Sequences are put into the filter in parts of this many."""
BASE, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
"""Sequences are numbered by a polynomial in this odd number, modulo 2**64."""


class SequenceFilter(NamedTuple):
    """The sequences of one length."""

    bits: bytes
    shift: int

    @classmethod
    def of(cls, numbers: np.ndarray, length: int) -> Self:
        """The filter of all sequences of `length` words among the numbers of words (N,)."""
        size = max(10, (BITS_PER_WORD * len(numbers)).bit_length())
        bits = np.zeros(2**size >> 3, np.uint8)
        for start in range(0, len(numbers), AT_ONCE):
            for places in _places(numbers[start : start + AT_ONCE + length - 1], length, 64 - size):
                np.bitwise_or.at(bits, places >> 3, np.uint8(1) << (places & 7).astype(np.uint8))
        return cls(bits.tobytes(), 64 - size)

    def passing(self, numbers: np.ndarray, length: int) -> np.ndarray:
        """Of all sequences of the filter's length among the numbers of words (N,), the places of those that may be
        there."""
        bits = np.frombuffer(self.bits, np.uint8)
        one, other = (
            bits[places >> 3] >> (places & 7).astype(np.uint8) & 1 for places in _places(numbers, length, self.shift)
        )
        return np.flatnonzero(one & other)

    def passes(self, value: int) -> bool:
        """Whether a sequence of the filter's length may be there, by its `hash_of`."""
        value ^= value >> 32
        place = value >> self.shift
        if not self.bits[place >> 3] >> (place & 7) & 1:
            return False
        place = (value * BASE & MASK) >> self.shift
        return bool(self.bits[place >> 3] >> (place & 7) & 1)


def _places(numbers: np.ndarray, length: int, shift: int) -> Iterator[np.ndarray]:
    """Where the two bits of all sequences of `length` words stand, (N - length + 1,) int64 each."""
    words = numbers.astype(np.uint64) + np.uint64(1)
    value = np.zeros(max(0, len(words) - length + 1), np.uint64)
    for i in range(length):
        value = value * np.uint64(BASE) + words[i : i + len(value)]
    value ^= value >> np.uint64(32)
    for some in (value, value * np.uint64(BASE)):
        yield (some >> np.uint64(shift)).astype(np.int64)


def hash_of(words: Sequence[int], before: int = 0) -> int:
    """A number for the words that come after those whose number is `before`."""
    for word in words:
        before = (before * BASE + word + 1) & MASK
    return before
