"""Where the 8-bit form of a model is kept, and whether it still is that of the model.

It is made when a model first writes on a CPU, and anew when its weights change. It is kept in the user's cache folder:
a run may come from a stranger, and is only read by whoever writes with it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from arasuji import bases, folders
from arasuji.locks import alone

LAYOUT = 4
"""Raised when what is kept in 8 bits changes, so that it is made again."""


def place_of(name: str, folder: Path) -> Path:
    """Where the 8-bit form of a folder's model is kept: in the user's own cache, so what is there was made here."""
    return bases.home() / "int8" / f"{name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def fresh(place: Path, folder: Path) -> Path | None:
    """Where the 8-bit form of a folder's model is kept; None where there is none, or of other weights."""
    found = folders.open_folder(place)
    return found[0] if found and found[1].get("of") == _mark(folder) else None


def keep(place: Path, folder: Path, make: Callable[[Path], None]) -> Path:
    """`fresh`, after `make` has filled it where there was none. Of processes that ask for the same, one makes it and
    the others wait. Raises StorageError where nothing can be kept."""
    with alone(place):
        if ready := fresh(place, folder):
            return ready
        _forget(place.parent)
        if folders.verified(place) is None:  # damaged
            shutil.rmtree(place, ignore_errors=True)
        with folders.new_folder(place) as target:
            make(target)
            folders.seal(target, {"of": _mark(folder), "folder": str(folder.resolve())})
        return place


def _forget(kept: Path) -> None:
    """Let go of the 8-bit forms of folders that are gone."""
    for place in kept.glob("*/"):
        found = folders.open_folder(place) if not place.name.startswith(".") else None
        if found and not Path(str(found[1].get("folder", kept))).exists():
            shutil.rmtree(place, ignore_errors=True)


def _mark(folder: Path) -> str:
    """What changes when a folder's model does, or the layout of its 8-bit form; found without reading its weights.

    Sizes and times come out of an archive as its author likes, so its files' numbers and when the system last changed
    them count as well: whatever is new here has others, and is verified.
    """
    kept = (".safetensors", ".json")
    found = [(path.name, path.stat()) for path in sorted(folder.glob("*")) if path.suffix in kept]
    of = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev) for name, s in found]
    return repr([LAYOUT, str(folder.resolve()), *of])
