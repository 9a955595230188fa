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


class Documents:
    """Documents as tokens, one after another, with an end token before the first and after each document.

    `tokens` is this stream, int32 in a temporary file that is deleted with the object. A token that the model reads but
    does not predict is stored as ~token, a negative number.
    """

    def __init__(self, documents: Iterable[Document], end_id: int) -> None:
        starts, fields = array("q", [1]), array("q")
        with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            file.write(np.array([end_id], np.int32).tobytes())
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

    def counted(self, limit: int) -> int:
        """The number of predicted tokens of all documents, of which at most `limit` tokens each are read."""
        return int((np.minimum(self.lengths, limit) - np.minimum(self.fields, limit)).sum())

    def read(self, place: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids and targets of a document, at most `limit` of each. The ids begin with the end token before the
        document, and the targets end with the one after it, unless the document is cut."""
        start, stop = self.starts[place], min(self.starts[place + 1], self.starts[place] + limit)
        return ids_of(self.tokens[start - 1 : stop - 1]), targets_of(self.tokens[start:stop])


def ids_of(tokens: np.ndarray) -> np.ndarray:
    """A part of `Documents.tokens` as the ids that a model reads, int64."""
    return np.where(tokens < 0, ~tokens, tokens).astype(np.int64)


def targets_of(tokens: np.ndarray) -> np.ndarray:
    """A part of `Documents.tokens` as the targets that a model predicts, int64."""
    return np.where(tokens < 0, IGNORED, tokens).astype(np.int64)
