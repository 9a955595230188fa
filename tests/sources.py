"""Reading a source in a test: its records with what was noted about it, or the line with which it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arasuji.corpus import Record
from arasuji.corpus.read import read
from arasuji.corpus.source import Reading
from arasuji.errors import SourceError


def written(path: Path, content: str | bytes) -> Path:
    """The path, with this content in it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def noted(path: Path, **reading: Any) -> tuple[list[Record], list[str]]:
    """The records of a source and its notes."""
    notes: list[str] = []
    return list(read(path, Reading(**reading), notes.append)), notes


def refused(path: Path, **reading: Any) -> str:
    """The one line with which a source is refused."""
    with pytest.raises(SourceError) as caught:
        noted(path, **reading)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said
