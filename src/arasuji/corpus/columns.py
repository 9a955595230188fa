"""Which column is the text, the title, the genres: by the names that real files use, or by an option."""

from __future__ import annotations

import ast
import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arasuji.corpus.record import Record
from arasuji.errors import SourceError, nearest

# Of several, the name that stands first here wins; case, spaces and hyphens do not count.
KNOWN: dict[str, list[str]] = {
    "text": [
        "synopsis",
        "sypnopsis",  # so spelt in a well-known file
        "text",
        "description",
        "overview",
        "plot",
        "plot_summary",
        "summary",
        "blurb",
        "story",
        "abstract",
        "completion",
        "content",
        "body",
    ],
    "title": ["title", "anime_name", "name", "main_title", "title_romaji", "title_english"],
    "genres": ["genres", "genre"],
    "year": ["year", "aired", "release_year", "start_year", "release_date", "start_date", "premiered"],
    "type": ["type", "media_type", "format"],
    "id": ["mal_id", "anime_id", "uid", "id"],
}

# What the rules, the split and the inspection read; no kept column takes its place.
_OURS = {"title", "genres", "year", "type"}
_FLAGS = {"", "0", "1", "0.0", "1.0", "false", "true"}
_RAISED = {"1", "1.0", "true"}


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of a file's columns by what they hold; None where it has no such column."""

    text: str
    title: str | None
    genres: str | None
    year: str | None
    type: str | None
    id: str | None
    flags: tuple[str, ...]  # one column per genre, of zeros and ones
    kept: tuple[str, ...]  # columns that go into the metadata under their own names


def find_columns(
    path: Path, rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, str | None], keep: Sequence[str] = ()
) -> Columns:
    """Choose the columns of a table by its first rows. `chosen` maps "text", "title", "genres" to a name that an
    option gave; `keep` names columns to keep.

    Raises SourceError where there is no column of texts, or not the one that an option names.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text, *found = (_find(path, what, names, chosen.get(what)) for what in KNOWN)
    if text is None:
        shown = ", ".join(_clip(name, 30) for name in names[:20])
        raise SourceError(f"{path}: no column of texts among {shown}: name it with --text-column")
    others = [name for name in names if name not in (text, *found)]
    title, genres, year, kind, identity = found
    flags = [] if genres else [name for name in others if _is_flag(row.get(name) for row in rows)]
    kept = tuple(name for name in (_named(path, name, names) for name in keep) if name not in _OURS)
    return Columns(text, title, genres, year, kind, identity, tuple(flags), kept)


def _find(path: Path, what: str, names: Sequence[str], option: str | None) -> str | None:
    if option is None:
        plain = {_plain(name): name for name in reversed(names)}
        return next((plain[known] for known in KNOWN[what] if known in plain), None)
    return _named(path, option, names)


def _clip(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _named(path: Path, option: str, names: Sequence[str]) -> str:
    """The column that an option names, in any case."""
    if option in names:
        return option
    for name in names:
        if name.casefold() == option.casefold():
            return name
    raise SourceError(f"{path}: no column {option!r}: {nearest(option, names)}")


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _is_flag(values: Iterable[Any]) -> bool:
    """Of zeros and ones; a rare genre may have no one among the first rows."""
    seen = {_string(value).strip().lower() for value in values}
    return seen <= _FLAGS and seen != {""}


def make_record(row: Mapping[str, Any], columns: Columns) -> Record:
    """One row as a Record, its text untouched ("" where it is missing)."""
    text = _string(row.get(columns.text))
    title = _string(row.get(columns.title)).strip() if columns.title else ""
    metadata: dict[str, Any] = {"title": title} if title else {}
    if columns.genres:
        metadata["genres"] = genre_list(row.get(columns.genres))
    elif columns.flags:
        raised = (name for name in columns.flags if _string(row.get(name)).strip().lower() in _RAISED)
        metadata["genres"] = [_string(name) for name in raised]
    if columns.year and (year := re.search(r"(?<!\d)(?:1[89]|2[01])\d\d(?!\d)", _string(row.get(columns.year)))):
        metadata["year"] = int(year[0])
    if columns.type and (kind := _string(row.get(columns.type)).strip()):
        metadata["type"] = kind
    for name in columns.kept:
        value = row.get(name)
        metadata[_string(name)] = _scalar(value)
    given = _string(row.get(columns.id)).strip() if columns.id else ""
    return Record(id=given or text_id(title, text), text=text, metadata=metadata)


def _scalar(value: Any) -> Any:
    """A number as it is, where JSON has it; anything else as text."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return "" if isinstance(value, float) else _string(value)


def text_id(title: str, text: str) -> str:
    """An id for a record that came without: it depends on nothing but the record."""
    return hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()[:16]


def genre_list(value: Any) -> list[str]:
    """Genres from "A, B", a list, a list of {"name": "A"}, or a list written as text ("['A', 'B']")."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = value.strip(" []")
    if not isinstance(value, list | tuple):
        value = re.split(r"[,|;]", _string(value))
    names = (item.get("name") if isinstance(item, dict) else item for item in value)
    return [name for name in (_string(item).strip(" '\"") for item in names) if name]


def _string(value: Any) -> str:
    """A cell as text that UTF-8 can hold: JSON may carry half of a surrogate pair."""
    text = "" if value is None else str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
