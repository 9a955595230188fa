"""Rows of JSON: an object a line, a list of objects, or a document with such a list. The content decides which."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from arasuji.corpus.names import repeated
from arasuji.corpus.services import entries, holds_texts, parents_of_texts
from arasuji.corpus.source import Numbered, Row, Source
from arasuji.errors import SourceError


def json_rows(source: Source) -> Iterator[Numbered]:
    """JSON Lines stream; a document is held whole."""
    # newline="\n": JSON strings may hold U+2028 and others, and lines end in nothing else.
    lines = source.lines(newline="\n")
    seen: list[str] = []
    begun: list[str] = []
    for line in lines:
        seen.append(line)
        begun += [line.strip()] if line.strip() else []
        if len(begun) == 2:
            break
    by_name = source.kind in ("jsonl", "ndjson")
    if _is_object_a_line(begun, by_name):
        if not by_name:
            source.note("it holds an object a line, and is read as JSON Lines")
        source.unit = "line"
        return _objects(source, chain(seen, lines))
    return _document(source, "".join(chain(seen, lines)))


def _is_object_a_line(begun: list[str], by_name: bool) -> bool:
    """Whether a file is JSON Lines by its first two lines that are not blank, or the only one."""
    if not begun[0].startswith("{"):
        return False
    try:
        row = _loads(begun[0])
    except ValueError as error:
        # A document's first line ends where more is expected; a damaged object is wrong before its end.
        cut = getattr(error, "pos", 0) >= len(begun[0])
        return len(begun) > 1 and begun[1].startswith("{") and not cut
    except RecursionError:
        return by_name
    if len(begun) == 1:
        return by_name and bool(holds_texts(row) or parents_of_texts(row))
    return by_name or begun[1].startswith("{")


def _objects(source: Source, lines: Iterable[str]) -> Iterator[Numbered]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _loads(line.rstrip())
        except (ValueError, RecursionError) as error:
            source.misfit(number, _complaint(error, line))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            source.misfit(number, "not a JSON object: one {...} a line is wanted")


def _document(source: Source, text: str) -> Iterator[Numbered]:
    try:
        document = _loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise SourceError(f"{source.path}: {where}{_complaint(error, text)}") from error
    found = entries(document, source.note)
    if found is None:
        raise SourceError(
            f"{source.path}: no list of objects is in this JSON file, nor an answer of AniList, Jikan or their like"
        )
    return enumerate(found, start=1)


def _complaint(error: Exception, text: str) -> str:
    """What is wrong with a JSON text, and in which column of its line."""
    if not isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {'nested too deeply' if isinstance(error, RecursionError) else error}"
    reason = error.msg[:1].lower() + error.msg[1:]
    if text[: error.pos].rstrip().endswith(",") and text[error.pos : error.pos + 1] in ("}", "]"):
        reason = f"a comma before {text[error.pos]}"
    return f"not valid JSON at column {error.colno}: {reason}"


def _loads(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """An object; of a key that stands twice, both values are kept, the later one under a name of its own."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    made = {}
    for name, value in pairs:
        made[repeated(name, made)] = value
    return made
