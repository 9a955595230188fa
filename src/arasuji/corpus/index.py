"""The training split as numbers: what copies are looked for in, and how often each word occurs.

It is kept in the corpus's folder, sealed, and made anew where it is missing.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from arasuji.corpus import INDEX, Corpus
from arasuji.corpus.script import words_of
from arasuji.errors import StorageError
from arasuji.files import new_folder, open_folder, seal

LAYOUT = 1
"""Raised when words are told apart in another way, or kept in another."""


@dataclass(frozen=True)
class TrainingWords:
    """Every text of the training split, word by word."""

    number_of: dict[str, int]
    """The different words, in lower case and without punctuation."""
    numbers: np.ndarray
    """All words of all texts, (N,) int32."""
    starts: np.ndarray
    """Where each text begins, and the end of the last one, (texts + 1,) int64."""

    def counts(self) -> np.ndarray:
        """How often each word occurs, (different words,) int64."""
        return np.bincount(self.numbers, minlength=len(self.number_of))

    def texts(self) -> Iterator[list[int]]:
        """The words of each text."""
        for start, end in pairwise(self.starts.tolist()):
            yield self.numbers[start:end].tolist()


def training_words(folder: Path) -> TrainingWords:
    """Of the corpus in `folder`, as it was kept there or as it is read now."""
    corpus = Corpus.load(folder)
    found = open_folder(folder / INDEX)
    if found and found[1].get("of") == [LAYOUT, corpus.hash]:
        words = json.loads((found[0] / "words.json").read_text("utf-8"))
        numbers, starts = (np.load(found[0] / f"{name}.npy", allow_pickle=False) for name in ("numbers", "starts"))
        return TrainingWords({word: i for i, word in enumerate(words)}, numbers, starts)
    made = _read(corpus)
    with suppress(StorageError), new_folder(folder / INDEX) as target:  # where nothing may be written, each time anew
        (target / "words.json").write_text(json.dumps(list(made.number_of), ensure_ascii=False), "utf-8")
        np.save(target / "numbers.npy", made.numbers)
        np.save(target / "starts.npy", made.starts)
        seal(target, {"of": [LAYOUT, corpus.hash]})
    return made


def _read(corpus: Corpus) -> TrainingWords:
    number_of: dict[str, int] = {}
    numbers, starts = array("i"), array("q", [0])
    for record in corpus.train:
        numbers.extend(number_of.setdefault(word, len(number_of)) for word in words_of(record.text))
        starts.append(len(numbers))
    return TrainingWords(number_of, np.frombuffer(numbers, np.int32), np.frombuffer(starts, np.int64))
