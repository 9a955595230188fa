"""Prompts in a file: one on each line, or JSON objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arasuji.errors import SourceError

EXAMPLE = '{"prompt": "In Osaka", "title": "Rust Angels", "genres": ["Mecha", "Military"]}'
BYTES = 2**26
"""A file of prompts may have so many bytes."""
OPTIONS = {"with", "without", "words", "seed", "temperature", "guidance"}
"""What may be taken for a field."""


def prompts_in(path: Path) -> dict[int, str | dict[str, Any]]:
    """The prompts of a file by the numbers of their lines: the lines, or those of a .jsonl file as JSON objects."""
    from arasuji.corpus.source import opened

    try:
        with opened(path) as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise SourceError(f"{path} has more than {BYTES >> 20} MB of prompts: write them into several files")
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot read the prompts in {path}: {said}") from error
    prompts: dict[int, str | dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            prompts[number] = _object(line, path, number) if path.suffix == ".jsonl" else line
    if not prompts:
        raise SourceError(f"{path} holds no prompts: write one a line")
    return prompts


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    """A line of a .jsonl file with prompts."""
    from arasuji.files import parse_json

    try:
        found = parse_json(line.encode())
    except ValueError as error:
        why = getattr(error, "msg", error)  # json counts lines of its own
        raise SourceError(f"{path}, line {number} is not JSON: {why}") from error
    if not isinstance(found, dict) or not isinstance(found.get("prompt", ""), str):
        raise SourceError(f"{path}, line {number}: write an object, such as {EXAMPLE}")
    for name in found.keys() & OPTIONS:
        raise SourceError(f"{path}, line {number}: {name!r} is an option of all texts of a call: --{name}")
    return found
