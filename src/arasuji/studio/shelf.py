"""The runs of a folder, opened once for all who write with them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from arasuji import writing
from arasuji.errors import OptionError, nearest
from arasuji.generation.engine import Engine
from arasuji.generation.texts import Options
from arasuji.runs import TrainedModel, is_run

SPARE = 1.5
"""A model is opened where this multiple of the size of its files is free in memory."""


@dataclass(frozen=True)
class Opened:
    """A model with the engine that writes all its texts."""

    trained: TrainedModel
    engine: Engine
    options: Options
    """Those of the run, with its guard against copies."""
    made: tuple[int, int]
    """Which best model it is: a training of the run makes new ones."""


class Shelf:
    """Opens the runs of a folder, and lets go of those that were not used for longest when memory is short."""

    def __init__(self, folder: Path, rows: int) -> None:
        """`rows` is the largest number of rows that are written at once with one model."""
        self.folder, self.rows = folder, rows
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._exact: tuple[str, TrainedModel] | None = None
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The runs of the folder that have a best model."""
        found = (path for path in self.folder.iterdir() if (path / "best").is_dir()) if self.folder.is_dir() else ()
        return sorted(path.name for path in found if is_run(str(path)))

    def open(self, name: str, in_use: Callable[[Opened], bool] = lambda opened: False) -> Opened:
        """A run of the folder, opened now or before. Of the others those that are not `in_use` may be closed for it.

        Raises:
            OptionError: there is no such run.
            RunError: it is damaged.
        """
        known = self.names()
        if name not in known:  # a name in the list has no slash in it, so it cannot lead out of the folder
            raise OptionError(f"no run {name!r}; {nearest(name, known)}")
        with self._lock:
            best = (self.folder / name / "best").stat()
            made = best.st_ino, best.st_mtime_ns
            if name in self._opened and self._opened[name].made != made:
                self._drop(name)
            if name not in self._opened:
                self._make_room(self.folder / name / "best", in_use)
                trained = writing.load(self.folder / name)
                engine = Engine(trained.model, trained.tokenizer, self.rows, self.rows)
                self._opened[name] = Opened(trained, engine, writing.options_of(trained, redraw=0), made)
            self._opened.move_to_end(name)
            return self._opened[name]

    def exact(self, name: str, in_use: Callable[[Opened], bool] = lambda opened: False) -> TrainedModel:
        """A run with whole weights, to look inside; it writes nothing, and the last one alone is kept. Raises as `open`
        does."""
        opened = self.open(name, in_use).trained
        if opened.precision == torch.float32:
            return opened
        with self._lock:
            if self._exact is None or self._exact[0] != name:
                self._exact = None
                self._make_room(self.folder / name / "best", in_use)
                self._exact = name, writing.load(self.folder / name, "fp32")
            return self._exact[1]

    def _drop(self, name: str) -> None:
        del self._opened[name]
        self._exact = None

    def _make_room(self, weights: Path, in_use: Callable[[Opened], bool]) -> None:
        needed = SPARE * sum(path.stat().st_size for path in weights.iterdir())
        if psutil.virtual_memory().available < needed:
            self._exact = None
        for name, opened in list(self._opened.items()):
            if psutil.virtual_memory().available >= needed:
                return
            if not in_use(opened):
                del self._opened[name]
