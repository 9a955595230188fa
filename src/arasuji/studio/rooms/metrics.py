"""The metrics of a run as a chart shows them: the whole run always, in at most so many points a line."""

from __future__ import annotations

import math
import os
import threading
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from arasuji import files
from arasuji.runs.directory import LOG_BYTES

WINDOW = 0.01
"""A loss is smoothed over about this share of all steps so far."""
SAMPLE_BYTES = 2**24
"""The samples of a run are shown up to this size, which is tens of thousands of texts."""
NAMES = ("step", "tokens", "seconds", "loss", "bits_per_byte")
"""What is read of a line; what it lacks is no number (NaN)."""


@dataclass
class _Read:
    """What was read of a log."""

    file: int
    """The inode: a resumed run writes its log anew."""
    bytes: int = 0
    rows: array[float] = field(default_factory=lambda: array("d"))
    """The numbers of each line, one line after the other."""


class Metrics:
    """Reads the metrics of runs. While a run is trained, only what is new is read."""

    def __init__(self) -> None:
        self._read: dict[Path, _Read] = {}
        self._lock = threading.Lock()

    def series(self, path: Path, points: int) -> dict[str, list[list[float | None]]]:
        """The lines of a chart, each of at most `points` points: `loss` has [step, tokens, seconds, bits per token,
        the same smoothed], `validation` [step, tokens, seconds, bits per byte]."""
        table = self._table(path)
        places, losses, bits = table[:, :3], table[:, 3] / math.log(2), table[:, 4]
        stepped, validated = np.isfinite(losses), np.isfinite(bits)
        losses = np.column_stack([places[stepped], losses[stepped], _smoothed(losses[stepped])])
        validations = np.column_stack([places[validated], bits[validated]])
        lines = {"loss": losses, "validation": validations}
        return {name: _listed(rows[_kept(rows[:, 3], points)]) for name, rows in lines.items()}

    def _table(self, path: Path) -> np.ndarray:
        """The lines of a log as numbers, (N, 5) float64 in the order of `NAMES`."""
        with self._lock:
            try:
                with files.regular(path) as log:
                    about = os.fstat(log.fileno())
                    known = self._read.get(path)
                    if known is None or known.file != about.st_ino or known.bytes > about.st_size:
                        known = self._read[path] = _Read(about.st_ino)
                    log.seek(known.bytes)
                    whole, newline, _ = log.read(LOG_BYTES).rpartition(b"\n")  # the last line may be half written
            except OSError:  # there is no step yet
                return np.empty((0, len(NAMES)))
            known.bytes += len(whole) + len(newline)
            for entry in _entries(whole):
                if entry.get("at_stop"):  # it repeats the loss of a line before it
                    entry.pop("loss", None)
                known.rows.extend(_number(entry, name) for name in NAMES)
            return np.array(known.rows).reshape(-1, len(NAMES))


def written(path: Path) -> list[dict[str, Any]]:
    """The samples of a run: their step, prompt and text."""
    try:
        content = files.read_bytes(path, SAMPLE_BYTES)
    except (OSError, ValueError):  # there is none yet
        return []
    found = []
    for entry in _entries(content):
        texts = {name: str(entry.get(name, "")).encode("utf-8", "replace").decode() for name in ("prompt", "text")}
        found.append({"step": entry["step"], **texts})
    return found


def _entries(content: bytes) -> Iterator[dict[str, Any]]:
    """The whole lines of a log."""
    for line in content.split(b"\n"):
        try:
            entry = files.parse_json(line)
        except ValueError:  # half a line, or the empty text after the last one
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            yield entry


def _number(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The exponential mean of the values up to each one, without a bias to the first ones (Kingma and Ba 2015)."""
    memory = 1 - 1 / max(5, WINDOW * len(values))
    found, mean = np.empty_like(values), 0.0
    for i, value in enumerate(values.tolist()):
        mean = memory * mean + (1 - memory) * value
        found[i] = mean / (1 - memory ** (i + 1))
    return found


def _kept(values: np.ndarray, points: int) -> np.ndarray:
    """The places of the values that are drawn: the first and the last one, and the least and the greatest one of each
    of some equal parts."""
    if len(values) <= points:
        return np.arange(len(values))
    bounds = np.linspace(0, len(values), points // 2).astype(int)
    ends = [of(values[start:end]) + start for start, end in pairwise(bounds) for of in (np.argmin, np.argmax)]
    return np.unique([0, *ends, len(values) - 1])


def _listed(rows: np.ndarray) -> list[list[float | None]]:
    """As JSON can hold it: null in place of what is no number."""
    return [[round(value, 5) if math.isfinite(value) else None for value in row] for row in rows.tolist()]
