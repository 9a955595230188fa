"""Encoded documents in a temporary file, read when they are needed: memory does not grow with the corpus."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from arasuji.documents import Document
from arasuji.files import disk_errors
from arasuji.models import IGNORED

COUNTED_AT_ONCE = 2**22
"""Tokens are counted in parts of this many."""


class Documents:
    """Documents as tokens, one after another, with a start token before the first and an end token after each.

    `tokens` is this stream, int32 in a temporary file that is deleted with the object. A token that the model reads but
    does not predict is stored as ~token, a negative number.
    """

    def __init__(self, documents: Iterable[Document], start_id: int) -> None:
        self.start_id = start_id
        starts, fields = array("q", [1]), array("q")
        with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            file.write(np.array([start_id], np.int32).tobytes())
            for document in documents:
                tokens = np.array(document.ids[1:], np.int32)
                before = document.counted_from - 1
                tokens[:before] = ~tokens[:before]
                file.write(tokens.tobytes())
                starts.append(starts[-1] + len(tokens))
                fields.append(before)
            file.flush()
            self.tokens = np.memmap(file, np.int32, mode="r")
        self.starts = np.array(starts)
        """The position in `tokens` at which each document begins, and the length of `tokens`: (N + 1,) int64."""
        self.fields = np.array(fields)
        """The number of tokens of each document that are not predicted: (N,) int64."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each document, its end token included."""
        return np.diff(self.starts)

    def counted(self, limit: int, numbers: np.ndarray) -> int:
        """The number of predicted tokens of some documents, of which at most `limit` tokens each are read."""
        return int((np.minimum(self.lengths, limit) - np.minimum(self.fields, limit))[numbers].sum())

    def counts(self, vocabulary_size: int) -> np.ndarray:
        """How often each token is predicted in an epoch: (V,) int64."""
        found = np.zeros(vocabulary_size, np.int64)
        for start in range(1, len(self.tokens), COUNTED_AT_ONCE):
            part = self.tokens[start : start + COUNTED_AT_ONCE]
            found += np.bincount(part[part >= 0], minlength=vocabulary_size)
        return found

    def joined(self, order: np.ndarray) -> Joined:
        """The documents end to end in an order of their numbers (N,), after one start token."""
        return Joined(self, order)

    def read(self, place: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids and targets of a document, at most `limit` of each. The ids begin with the start token, and the
        targets end with the end token after the document, unless it is cut."""
        start, stop = self.starts[place], min(self.starts[place + 1], self.starts[place] + limit)
        tokens = self.tokens[start:stop]
        return np.append(np.int64(self.start_id), ids_of(tokens[:-1])), targets_of(tokens)


class Joined:
    """Documents end to end in some order. Nothing is copied: a position of this stream is looked up."""

    def __init__(self, documents: Documents, order: np.ndarray) -> None:
        lengths = documents.lengths[order]
        self.ends = 1 + lengths.cumsum()
        """The position after each document."""
        self.shifts = documents.starts[:-1][order] - (self.ends - lengths)
        """What is added to a position of each document to find it in `tokens`."""

    def places(self, positions: np.ndarray) -> np.ndarray:
        """Where in `Documents.tokens` some positions of any shape stand; 0 is the start token before all documents."""
        number = np.searchsorted(self.ends, positions, side="right")
        return np.where(positions > 0, positions + self.shifts[number], 0)


def ids_of(tokens: np.ndarray) -> np.ndarray:
    """A part of `Documents.tokens` as the ids that a model reads, int64."""
    return np.where(tokens < 0, ~tokens, tokens).astype(np.int64)


def targets_of(tokens: np.ndarray) -> np.ndarray:
    """A part of `Documents.tokens` as the targets that a model predicts, int64."""
    return np.where(tokens < 0, IGNORED, tokens).astype(np.int64)
