"""How much of the validation split stands word for word in the training split."""

from __future__ import annotations

from collections.abc import Iterable

from arasuji.corpus import Record
from arasuji.corpus.script import words_of
from arasuji.corpus.shingles import shingles

SIZE = 13
"""A shingle has this many words: 13 in a row are hardly ever chance (Brown et al., "Language Models are Few-Shot
Learners", 2020, appendix C)."""


def leakage(train: Iterable[Record], validation: Iterable[Record]) -> float:
    """The share of the validation split's different shingles that stand in the training split too; 0 without any."""
    wanted = {shingle for record in validation for shingle in _hashes(record.text)}
    seen: set[int] = set()
    for record in train:
        seen.update(shingle for shingle in _hashes(record.text) if shingle in wanted)
    return len(seen) / max(1, len(wanted))


def _hashes(text: str) -> Iterable[int]:
    """A number for each shingle of a text: the shingles themselves would fill the memory."""
    return map(hash, shingles(words_of(text), SIZE))
