"""Checks, before a long computation, that its result can be written where it is to go."""

from __future__ import annotations

import os
from pathlib import Path

from arasuji.errors import StorageError


def check_place(path: Path) -> None:
    """Raise StorageError where the file cannot be written; nothing is made."""
    place = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    fits = place.is_file() if place == path.absolute() else place.is_dir()
    if fits and place == path.absolute() and not os.access(place.parent, os.W_OK):  # its work is written beside it
        place = place.parent
    if not fits or not os.access(place, os.W_OK):
        reason = "may not be written" if fits else "is in the way"
        raise StorageError(f"cannot write {path}: {place} {reason}; choose another place")
