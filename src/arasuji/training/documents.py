"""Encoded documents in a file without a name, read as they are needed: memory does not grow with the corpus."""

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
    """Documents as tokens, one after another, an end token before the first and after each: `tokens` is the stream
    that a language model reads, int32 on disk, and goes with the object. Tokens that are read and not predicted are
    kept as ~token, a number below 0."""

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
        """Where each document begins in `tokens`, and one past the last end token: (N + 1,) int64."""
        self.fields = np.array(fields)
        """Tokens of each document that are not predicted: (N,) int64."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, its end token included."""
        return np.diff(self.starts)

    def counted(self, limit: int) -> int:
        """Tokens of all documents that are predicted, where at most `limit` of each are read."""
        return int((np.minimum(self.lengths, limit) - np.minimum(self.fields, limit)).sum())

    def read(self, place: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, targets) of a document: it stands between two end tokens, the first in ids alone, the second in targets
        alone; at most `limit` of each, so the end of one that is cut is in neither."""
        start, stop = self.starts[place], min(self.starts[place + 1], self.starts[place] + limit)
        return ids_of(self.tokens[start - 1 : stop - 1]), targets_of(self.tokens[start:stop])


def ids_of(tokens: np.ndarray) -> np.ndarray:
    """Part of `Documents.tokens` as a model reads it, int64."""
    return np.where(tokens < 0, ~tokens, tokens).astype(np.int64)


def targets_of(tokens: np.ndarray) -> np.ndarray:
    """Part of `Documents.tokens` as a model predicts it, int64."""
    return np.where(tokens < 0, IGNORED, tokens).astype(np.int64)
