"""How much of the validation split stands word for word in the training split."""

from __future__ import annotations

from collections.abc import Iterable

from arasuji.corpus import Record
from arasuji.corpus.script import words_of

RUN = 13
"""Words of a run: so many in a row are hardly ever chance (Brown et al., "Language Models are Few-Shot Learners",
2020, appendix C)."""


def leakage(train: Iterable[Record], validation: Iterable[Record]) -> float:
    """Share of the validation split's different runs of 13 words that the training split has too; 0 without runs."""
    wanted = {run for record in validation for run in _runs(record.text)}
    seen: set[int] = set()
    for record in train:
        seen.update(run for run in _runs(record.text) if run in wanted)
    return len(seen) / max(1, len(wanted))


def _runs(text: str) -> Iterable[int]:
    """A number for each run: runs themselves would fill the memory."""
    words = words_of(text)
    return (hash(tuple(words[i : i + RUN])) for i in range(len(words) - RUN + 1))
