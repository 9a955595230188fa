"""Arguments of public functions: a single text or path may stand where several are meant, and ~ is the home folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

AnyPath = str | os.PathLike[str]


def texts(given: str | Iterable[str]) -> Iterable[str]:
    """The texts; a single one is one text, and not the list of its letters."""
    return [given] if isinstance(given, str) else given


def name(given: AnyPath) -> str:
    """A path, or the name of a model or preset; ~ is the home folder."""
    return os.path.expanduser(os.fspath(given))


def names(given: AnyPath | Iterable[AnyPath]) -> list[str]:
    """`name` of each; a single path or name may be given as it is."""
    return [name(one) for one in ([given] if isinstance(given, str | os.PathLike) else given)]


def path(given: AnyPath) -> Path:
    """A path; ~ is the home folder. (A file that is called ~ is reached as ./~.)"""
    return Path(name(given))
