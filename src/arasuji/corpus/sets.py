"""Sets of numbers that are joined two at a time (union-find; Tarjan, 1975)."""

from __future__ import annotations

from array import array

import numpy as np


class DisjointSets:
    """The numbers from 0 to `size` - 1, each in a set of its own at first. A set goes by its least member."""

    def __init__(self, size: int) -> None:
        self._parent = array("q", range(size))

    def least(self, member: int) -> int:
        """The least member of the set in which `member` is."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]  # halves the way for the next search
            member = parent[member]
        return member

    def join(self, one: int, other: int) -> None:
        """Make one set of the sets in which two members are."""
        low, high = sorted((self.least(one), self.least(other)))
        self._parent[high] = low

    def numbers(self) -> np.ndarray:
        """The least member of the set of each member, (size,) int64."""
        return np.fromiter(map(self.least, range(len(self._parent))), np.int64, len(self._parent))
