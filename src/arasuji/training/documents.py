"""Encoded documents in a file without a name, read as they are needed: memory does not grow with the corpus."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from arasuji.files import disk_errors


class Documents:
    """Documents as tokens, one after another, an end token before the first and after each: `tokens` is the stream
    that a language model reads, int32 on disk, and goes with the object."""

    def __init__(self, encoded: Iterable[Sequence[int]], end_id: int) -> None:
        self.end_id = end_id
        starts = array("q", [1])
        with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            file.write(np.array([end_id], np.int32).tobytes())
            for document in encoded:
                file.write(np.array([*document, end_id], np.int32).tobytes())
                starts.append(starts[-1] + len(document) + 1)
            file.flush()
            self.tokens = np.memmap(file, np.int32, mode="r")
        self.starts = np.array(starts)
        """Where each document begins in `tokens`, and one past the last end token: (N + 1,) int64."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, its end token included: what a model is asked to predict."""
        return np.diff(self.starts)

    def read(self, place: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, targets) of a document: it stands between two end tokens, the first in ids alone, the second in targets
        alone; at most `limit` of each, so the end of one that is cut is in neither."""
        start, stop = self.starts[place], min(self.starts[place + 1], self.starts[place] + limit)
        return self.tokens[start - 1 : stop - 1], self.tokens[start:stop]
