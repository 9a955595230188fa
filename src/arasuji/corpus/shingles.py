"""The shingles (word n-grams) of a text, by which texts are compared here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Word = TypeVar("Word")


def shingles(words: Sequence[Word], size: int) -> Iterator[tuple[Word, ...]]:
    """Every `size` words that stand in a row, in the order of the text (Broder, "On the resemblance and containment of
    documents", 1997). A text of fewer words has none."""
    return zip(*(words[start:] for start in range(size)), strict=False)
