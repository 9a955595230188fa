"""Which column is the text, the title, the genres: by the names that real files use, or by an option."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from arasuji.corpus.names import QUALIFIED, nearness
from arasuji.corpus.record import Record
from arasuji.corpus.services import holds_texts
from arasuji.corpus.source import COLUMNS, NONE, Source
from arasuji.corpus.unwrap import Unwrapping
from arasuji.errors import SourceError, nearest
from arasuji.speech import listed, shortened

_OURS = {"title", "genres", "year", "type"}
"""The metadata that rules, split and inspection read; a column that is kept must not replace it."""
_FLAGS = {"", "0", "1", "0.0", "1.0", "false", "true"}
"""A column that holds nothing but these says, row by row, whether a text is of the genre that the column names."""
_RAISED = {"1", "1.0", "true"}
"""Those of the flags that say yes."""
TEXT_WORDS = 5
"""Where no column is called a text, the longest is taken if its cells have on average at least this many words."""
DEEPEST = 8
"""A column can be named at most this many levels deep in objects that hold objects."""
SHOWN = 20
"""A message names at most this many columns."""
SHOWN_CHARACTERS = 30
"""A message shows at most this many characters of a column's name."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of a file's columns by what they hold; None where it has no such column. "a.b" is what lies in `a`
    under `b`."""

    text: str
    title: str | None
    genres: str | None
    year: str | None
    type: str | None
    id: str | None
    flags: tuple[str, ...]
    """Columns of zeros and ones, one for each genre."""
    kept: tuple[str, ...]
    """Columns that go into the metadata under their own names."""


def find_columns(source: Source, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Choose the columns of a table by its first rows and the options of its reading. What was chosen among several is
    noted, and that there are no titles.

    Raises SourceError where there is no column of texts, or not the one that an option names.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    options = source.reading
    if len(names) > COLUMNS * options.megabytes:
        raise source.too_large(f"its first rows have {len(names):,} columns")
    text = _named(source, options.text_column, rows) or _find(source, "text", rows, names) or _longest(source, rows)
    if text is None:
        hint = "name it with --text-column" + (
            "" if source.unit == "row" else ", or say --no-header if line 1 is a row"
        )
        raise SourceError(f"{source.path}: no column of texts among {_list(names)}: {hint}")
    title = None if options.title_column == NONE and NONE not in names else _title(source, rows, names, text)
    genres = _named(source, options.genre_column, rows) or _find(source, "genres", rows, names)
    year, kind, identity = (_find(source, what, rows, names) for what in ("year", "type", "id"))
    others = [name for name in names if name not in (text, title, genres, year, kind, identity)]
    flags = [] if genres else [name for name in others if _is_flag(row.get(name) for row in rows)]
    keep = [options.keep] if isinstance(options.keep, str) else options.keep
    kept = tuple(name for name in (_named(source, name, rows) for name in keep) if name and name not in _OURS)
    return Columns(text, title, genres, year, kind, identity, tuple(flags), kept)


def parent_of_texts(source: Source, rows: Sequence[Mapping[str, Any]]) -> str:
    """The dotted path of the object, in each row, that holds the texts or the column that an option names; "" where the
    row itself does. Raises SourceError where several do."""
    option = source.reading.text_column
    if any(_tells(row, option) for row in rows):
        named = _named(source, option, rows)
        return named.rpartition(".")[0] if named and not any(named in row for row in rows) else ""
    inside = ((name, value) for row in rows for name, value in row.items() if isinstance(value, Mapping))
    parents = list(dict.fromkeys(name for name, value in inside if _tells(value, option)))
    if len(parents) > 1:
        raise SourceError(f"{source.path}: there are texts in {_list(parents)}: say which with --text-column, as a.b")
    if parents and not option:
        source.note(f"its texts are read from what {parents[0]!r} holds; --text-column names another place")
    return parents[0] if parents else ""


def _tells(row: Mapping[str, Any], option: str | None) -> bool:
    """Whether a row has a column of texts by its name, or the column that an option names."""
    if option is None:
        return holds_texts(row)
    return any(name.casefold() == option.strip().casefold() for name in _paths(row))


def _title(source: Source, rows: Sequence[Mapping[str, Any]], names: Sequence[str], text: str) -> str | None:
    others = [name for name in names if name != text]
    found = _named(source, source.reading.title_column, rows) or _find(source, "title", rows, others)
    if found is None:
        source.note(
            f"no column of titles among {_list(names)}: parts of one series count as different works and may fall into "
            f"different splits; --title-column names one, or says {NONE}"
        )
    return found


def _find(source: Source, what: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    """The column whose name is nearest to what such columns are called, among those that hold something."""
    near = {name: nearness(what, name) for name in names}
    found = sorted(((at, name) for name, at in near.items() if at is not None), key=itemgetter(0))
    used = [(at, name) for at, name in found if _is_used(what, (row.get(name) for row in rows))]
    if not used:
        return found[0][1] if found else None
    (level, _), chosen = used[0]
    rest = [(other, name) for (other, _), name in found if name != chosen]
    others = [name for other, name in rest if what == "text" or other == level == QUALIFIED]
    if what in ("text", "title") and (others or level == QUALIFIED):
        among = f", not from {_list(others)}" if others else ""
        source.note(f"its {what}s are read from the column {chosen!r}{among}; --{what}-column names another")
    return chosen


def _is_used(what: str, values: Iterable[Any]) -> bool:
    """Whether a column holds anything; one of numbers is none of texts, whatever its name."""
    cells = (_string(value).strip() for value in values)
    return any(cell and not (what == "text" and _is_number(cell)) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def _longest(source: Source, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column of texts where none has a name: the one whose cells are longest."""
    names = list(rows[0])
    if not names or not all(name.isdigit() for name in names):
        return None
    words = {name: sum(_words(_string(row.get(name))) for row in rows) / len(rows) for name in names}
    longest = max(names, key=lambda name: words[name])
    if len(names) > 1 and words[longest] < TEXT_WORDS:
        return None
    if len(names) > 1:
        source.note(f"its texts are read from column {longest}, the longest; --text-column names another")
    return longest


def _words(text: str) -> float:
    return max(len(text.split()), len(text) / 12)  # where a script has no spaces


def _list(names: Sequence[str]) -> str:
    return listed([shortened(" ".join(name.split()), SHOWN_CHARACTERS) for name in names], SHOWN)


def _named(source: Source, option: str | None, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column that an option names, in any case; None without an option."""
    if option is None:
        return None
    names = list(dict.fromkeys(path for row in rows for path in _paths(row)))
    for name in (option, *names):
        if name in names and name.casefold() == option.strip().casefold():
            return name
    raise SourceError(f"{source.path}: no column {option!r}: {nearest(option, names)}")


def _paths(row: Mapping[str, Any], above: str = "") -> Iterable[str]:
    """The names in a row, and with dots those in what it holds."""
    for name, value in row.items():
        yield above + name
        if isinstance(value, Mapping) and above.count(".") < DEEPEST:
            yield from _paths(value, f"{above}{name}.")


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """What stands in a row under a name, or under a dotted one in what it holds; None where nothing does."""
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _is_flag(values: Iterable[Any]) -> bool:
    """Whether a column holds zeros and ones alone; of a rare genre, the first rows may hold zeros alone."""
    seen = {_string(value).strip().lower() for value in values}
    return seen <= _FLAGS and seen != {""}


def make_record(row: Mapping[str, Any], columns: Columns, unwrapping: Unwrapping) -> Record:
    """One row as a Record, its text untouched ("" where it is missing). Raises ValueError where what stands in the
    place of the text holds none."""
    text = _string(unwrapping.text(_cell(row, columns.text), columns.text))
    title = _string(unwrapping.title(_cell(row, columns.title))).strip() if columns.title else ""
    metadata: dict[str, Any] = {"title": title} if title else {}
    if columns.genres:
        metadata["genres"] = genre_list(_cell(row, columns.genres))
    elif columns.flags:
        raised = (name for name in columns.flags if _string(row.get(name)).strip().lower() in _RAISED)
        metadata["genres"] = [_string(name) for name in raised]
    if columns.year and (year := re.search(r"(?<!\d)(?:1[89]|2[01])\d\d(?!\d)", _string(row.get(columns.year)))):
        metadata["year"] = int(year[0])
    if columns.type and (kind := _string(row.get(columns.type)).strip()):
        metadata["type"] = kind
    for name in columns.kept:
        metadata[_string(name)] = _scalar(_cell(row, name))
    given = _string(row.get(columns.id)).strip() if columns.id else ""
    return Record(id=given or text_id(title, text), text=text, metadata=metadata)


def _scalar(value: Any) -> Any:
    """A number as it is, where JSON has it; what holds others as JSON; anything else as text."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
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
