"""Prompts in a file: one on each line, or JSON objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arasuji.errors import SourceError


def prompts_in(path: Path) -> list[str | dict[str, Any]]:
    """The prompts of a file: its lines, or those of a .jsonl file as JSON objects."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the prompts in {path}: {error}") from error
    prompts: list[str | dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            prompts.append(_object(line, path, number) if path.suffix == ".jsonl" else line)
    if not prompts:
        raise SourceError(f"{path} holds no prompts: write one a line")
    return prompts


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    """A line of a .jsonl file with prompts."""
    from arasuji.files import parse_json

    try:
        found = parse_json(line.encode())
    except ValueError as error:
        raise SourceError(f"{path}, line {number} is not JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("prompt", ""), str):
        raise SourceError(f'{path}, line {number}: an object with a "prompt" that is a text is wanted, and fields')
    return found
