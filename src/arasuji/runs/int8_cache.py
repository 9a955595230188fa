"""Where the 8-bit form of a model is kept, and whether it is still up to date.

It is made when a model first writes on a CPU, and made again when the weights of the model change. It is kept in the
user's cache folder, not in the run: a run may come from a stranger, and writing texts with it does not change it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from arasuji import bases, folders
from arasuji.locks import exclusive

LAYOUT = 5
"""The version of the files of an 8-bit form. A higher number makes all of them again."""


def place_of(name: str, folder: Path) -> Path:
    """The folder for the 8-bit form of the model in `folder`, in the user's cache, where strangers do not write."""
    return bases.home() / "int8" / f"{name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def fresh(place: Path, folder: Path) -> Path | None:
    """The folder with the 8-bit form of a model; None where there is none, or where the weights have changed since."""
    found, mark = folders.open_folder(place), _mark(folder)
    return found[0] if found and mark and found[1].get("of") == mark else None


def keep(place: Path, folder: Path, make: Callable[[Path], None]) -> Path:
    """The same as `fresh`, but a missing 8-bit form is made by `make`. Of several processes, one makes it and the
    others wait. Raises StorageError where nothing can be written."""
    with exclusive(place):
        if ready := fresh(place, folder):
            return ready
        mark = _mark(folder)  # of the weights that are read: a training may replace them meanwhile
        _delete_orphans(place.parent)
        if folders.verified(place) is None:  # damaged
            shutil.rmtree(place, ignore_errors=True)
        with folders.new_folder(place) as target:
            make(target)
            folders.seal(target, {"of": mark, "folder": str(folder.resolve())})
        return place


def _delete_orphans(kept: Path) -> None:
    """Delete the 8-bit forms of models that were deleted."""
    for place in kept.glob("*/"):
        found = folders.open_folder(place) if not place.name.startswith(".") else None
        if found and not Path(str(found[1].get("folder", kept))).exists():
            shutil.rmtree(place, ignore_errors=True)


def _mark(folder: Path) -> str:
    """A text that changes when the model of a folder does, or `LAYOUT`; "" while a training replaces it. The weights
    are not read for it.

    An archive may set sizes and modification times as its author likes. So the inodes and the change times, which the
    system sets, are part of the text: files that are new on this machine have others.
    """
    kept = (".safetensors", ".json")
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.suffix in kept]
    except FileNotFoundError:
        return ""
    of = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev) for name, s in found]
    return repr([LAYOUT, str(folder.resolve()), *of])
