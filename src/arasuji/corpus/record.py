"""One text, and a file of many that is read as it is asked for."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, overload

from arasuji.errors import CorpusError
from arasuji.files import parse_json

if TYPE_CHECKING:
    import numpy as np

READ_AHEAD = 1 << 18
"""Records that are read in order are read this many bytes at a time."""
Progress = Callable[[str, int, int], None]
"""A function that is told what is being done, how much of it is done, and how much there is."""


def part_of(progress: Progress, i: int, count: int, what: str = "") -> Progress:
    """The progress of the i-th of `count` equal parts, which is said to be `what`, or else what the part says."""
    return lambda said, done, total: progress(what or said, round(1000 * (i + done / max(1, total))), 1000 * count)


@dataclass(frozen=True, slots=True)
class Record:
    """One text. `metadata` holds title (str), genres (list[str]), year (int), type (str) and kept columns, where
    known."""

    id: str
    text: str
    group: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """What is written to a JSONL file."""
        return {"id": self.id, "text": self.text, "group": self.group, "metadata": self.metadata}


class Records(Sequence[Record]):
    """The records of a JSONL file. In memory is only where each line begins: 8 bytes a record.

    The file stays open, so the records stay the same when another file takes its place.
    """

    watch: Callable[[int], None] | None = None
    """A function that is told how many records have been read, while they are read in order."""

    def __init__(self, path: Path, starts: Sequence[int] | np.ndarray | None = None) -> None:
        """`starts` is where each line begins, and where the last one ends; without it the file is read for that."""
        self._file = path.open("rb")
        self._lock = Lock()
        self.starts = starts if starts is not None else _starts_of(self._file)

    @classmethod
    def write(cls, path: Path, records: Iterable[Record]) -> Records:
        """Write records as they come, and open what was written."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(record.fields(), ensure_ascii=False) + "\n" for record in records)
        return cls(path)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        with self._lock:
            self._file.seek(self.starts[place])
            line = self._file.readline()
        return self._record(line)

    def _record(self, line: bytes) -> Record:
        try:
            record = Record(**parse_json(line))
            names = record.id, record.text, record.group
            if not all(isinstance(name, str) for name in names) or not isinstance(record.metadata, dict):
                raise TypeError("its text is no text")
            if b"\\ud" in line.lower():  # half of a surrogate pair is no text either
                json.dumps(record.fields(), ensure_ascii=False).encode()
        except (ValueError, TypeError) as error:
            raise CorpusError(f"{self._file.name} holds a line that is no record: make the corpus again") from error
        return record

    def __iter__(self) -> Iterator[Record]:
        place = 0
        while place < len(self):
            with self._lock:
                self._file.seek(self.starts[place])
                lines = self._file.readlines(READ_AHEAD)
            if not lines:
                raise CorpusError(f"{self._file.name} was cut short while it was read: make the corpus again")
            for line in lines:
                yield self._record(line)
            place += len(lines)
            if self.watch:
                self.watch(place)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Records):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} records of {self._file.name}>"

    def close(self) -> None:
        """Close the file; some systems do not move or delete an open one."""
        self._file.close()

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()


def _starts_of(file: IO[bytes]) -> array[int]:
    starts = array("Q", [0])
    for line in file:
        starts.append(starts[-1] + len(line))
    return starts
