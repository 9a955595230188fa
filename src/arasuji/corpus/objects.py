"""Rows of JSON: an object a line, a list of objects, or a document with such a list. The content decides which."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from arasuji.corpus.names import apart
from arasuji.corpus.services import entries, holds_texts, parents_of_texts
from arasuji.corpus.source import Held, Numbered, Row, Source
from arasuji.errors import SourceError

BLANK = 10_000
"""The JSON of a file begins before this line."""
VALUES = 2**18
"""A row or a document may have this many values for each megabyte of the largest row: each takes a hundred bytes."""


def json_rows(source: Source) -> Iterator[Numbered]:
    """JSON Lines stream; a document is held whole."""
    # newline="\n": JSON strings may hold U+2028 and others, and lines end in nothing else.
    # A document may be one line, as programs write it.
    by_name = source.kind in ("jsonl", "ndjson")
    lines = source.lines(newline="\n", most=0 if by_name else source.reading.whole)
    seen: list[str] = []
    begun: list[str] = []
    for line in lines:
        seen.append(line)
        begun += [line.strip()] if line.strip() else []
        if len(begun) == 2:
            break
        if len(seen) > BLANK:
            raise SourceError(f"{source.path}: it begins with {BLANK:,} lines in which there is no JSON")
    if _is_object_a_line(begun, by_name):
        if not by_name:
            source.note("it holds an object a line, and is read as JSON Lines")
        source.unit = "line"
        return _objects(source, chain(seen, lines))
    whole = io.StringIO(newline="")
    large = source.too_large(f"a document of JSON has more than {source.reading.whole >> 20} MB")
    whole.writelines(Held(chain(seen, lines), source.reading.whole, large))
    return _document(source, whole.getvalue())


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
        if len(line) > source.reading.row:
            raise source.too_large(f"line {number} has more than {source.reading.megabytes} MB")
        _check_values(source, line)
        try:
            row = _loads(line.rstrip())
        except (ValueError, RecursionError) as error:
            source.misfit(number, _complaint(error, line))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            source.misfit(number, "not a JSON object: one {...} a line is wanted")


def _check_values(source: Source, text: str) -> None:
    """Raise SourceError where a text holds more values than memory should."""
    most = VALUES * source.reading.megabytes
    if len(text) > most and sum(map(text.count, ",[{")) > most:  # commas in texts count as well
        raise source.too_large(f"there are more than {most:,} values in its JSON")


def _document(source: Source, text: str) -> Iterator[Numbered]:
    _check_values(source, text)
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
    return dict(zip(apart(name for name, _ in pairs), (value for _, value in pairs), strict=True))
