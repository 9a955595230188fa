"""What the tasks of a stage leave in the work folder: a part each, whole or not at all.

A part is a folder that is written beside its place, sealed with a manifest of its files, and renamed (see `folders`).
So a task that was killed, or whose disk was full, has left no part, whatever it said; whoever reads the parts finds
out. The texts of all parts are numbered from 0 in the order of the tasks, which is the order of the sources; such a
number is a text's place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from arasuji.corpus.folder import RuleCount, read_counts
from arasuji.corpus.record import Record, Records
from arasuji.errors import CorpusError
from arasuji.files import disk_errors, read_json
from arasuji.folders import MANIFEST, new_folder, seal

KIND = "arasuji part"
"""The manifest of a part says that it is of this kind."""
TEXTS = "texts.jsonl"
"""The file of a part that holds its texts."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is whole: its folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    def array(self, name: str) -> np.ndarray:
        """An array of the part, which stays on the disk: only what is used of it is read."""
        array: np.ndarray = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return array

    def texts(self) -> Records:
        """The texts that the rules have left so far."""
        return Records(self.folder / TEXTS, self.array("starts"))

    def size(self) -> int:
        """The number of its texts."""
        return len(self.array("starts")) - 1

    def counts(self) -> tuple[RuleCount, ...]:
        """What the rules did in this task."""
        return read_counts(self.folder, self.manifest)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its folder in the work folder, and its number of tasks."""

    folder: Path
    tasks: int

    @contextmanager
    def new_part(self, rank: int, facts: dict[str, Any]) -> Iterator[Path]:
        """A folder to fill with the part of a task. `facts` may be filled meanwhile: they go into its manifest."""
        place = self._place(rank)
        with new_folder(place) as part, disk_errors(place):
            yield part
            seal(part, {"kind": KIND, **facts})

    def has_part(self, rank: int) -> bool:
        """Whether a task has left its part."""
        return _manifest(self._place(rank)) is not None

    def part(self, rank: int) -> Part:
        """The part of a task. Raises CorpusError where it is missing, or where a file has lost its end."""
        manifest = _manifest(self._place(rank))
        if manifest is None:
            raise CorpusError(
                f"task {rank} of {self.folder.name} has left no whole part in {self.folder} (was it killed, was the "
                "disk full?): start the same pipeline again, which runs only what is missing"
            )
        return Part(self._place(rank), manifest)

    def parts(self) -> list[Part]:
        """The parts of all tasks. Raises CorpusError where one is missing."""
        return [self.part(rank) for rank in range(self.tasks)]

    def _place(self, rank: int) -> Path:
        return self.folder / f"{rank:05d}"


def _manifest(part: Path) -> dict[str, Any] | None:
    """The manifest of a part; None where there is none, or where a file has another size than it says."""
    try:
        manifest: dict[str, Any] = read_json(part / MANIFEST)
        sizes = {name: entry["bytes"] for name, entry in manifest["files"].items()}
        whole = manifest["kind"] == KIND and all((part / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if whole else None


class AllTexts(Sequence[Record]):
    """The texts of all parts, by their places. They stay on the disk."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [part.texts() for part in parts]
        self._begins = [0, *accumulate(map(len, self._parts))]

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        number = bisect_right(self._begins, place) - 1
        return self._parts[number][place - self._begins[number]]

    def __iter__(self) -> Iterator[Record]:
        for part in self._parts:
            yield from part


class AllRows:
    """The rows of an array that all parts have, by their places: `rows[places]`, (n,) -> (n, ...). They stay on the
    disk."""

    def __init__(self, parts: Sequence[Part], name: str) -> None:
        self._arrays = [part.array(name) for part in parts]
        self._begins = np.cumsum([0, *map(len, self._arrays)])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        rows = np.empty((len(places), *self._arrays[0].shape[1:]), self._arrays[0].dtype)
        numbers = np.searchsorted(self._begins, places, side="right") - 1
        for number in np.unique(numbers):
            here = numbers == number
            rows[here] = self._arrays[number][places[here] - self._begins[number]]
        return rows


def stays(texts: Stage, found: Stage, rank: int) -> np.ndarray:
    """Whether each text of a part stays, (n,) bool, after the tasks of `found` have each left the places, in order, of
    those that go (in `removed`)."""
    sizes = [part.size() for part in texts.parts()]
    begin = sum(sizes[:rank])
    stay = np.ones(sizes[rank], bool)
    for part in found.parts():
        removed = part.array("removed")
        first, last = np.searchsorted(removed, [begin, begin + len(stay)])
        stay[removed[first:last] - begin] = False
    return stay
