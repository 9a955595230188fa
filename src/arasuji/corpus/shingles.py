"""Shingles: the overlapping runs of words by which texts are compared (Broder, 1997)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Word = TypeVar("Word")


def shingles(words: Sequence[Word], size: int) -> Iterator[tuple[Word, ...]]:
    """Each `size` words that stand one after another, in order; none where there are fewer words."""
    return zip(*(words[start:] for start in range(size)), strict=False)
