"""What a caller hands over, as the rest takes it: whoever takes texts or paths from outside asks here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

AnyPath = str | os.PathLike[str]


def texts(given: str | Iterable[str]) -> Iterable[str]:
    """One text is one, and not as many as it has letters."""
    return [given] if isinstance(given, str) else given


def name(given: AnyPath) -> str:
    """A path, or the name of a model or preset; ~ is the home folder."""
    return os.path.expanduser(os.fspath(given))


def names(given: AnyPath | Iterable[AnyPath]) -> list[str]:
    """The same of several, or of a single one that is given as it is."""
    return [name(one) for one in ([given] if isinstance(given, str | os.PathLike) else given)]


def path(given: AnyPath) -> Path:
    """A path; ~ is the home folder. (What is called ~ is reached as ./~.)"""
    return Path(name(given))
