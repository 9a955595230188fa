"""The rows in a JSON document: the answers of AniList (GraphQL), Jikan (REST) and other services, pandas' tables.

The shapes are those of https://docs.anilist.co, https://docs.api.jikan.moe, https://kitsu.docs.apiary.io,
https://myanimelist.net/apiconfig/references/api/v2, https://api.mangadex.org/docs and pandas.DataFrame.to_json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from arasuji.corpus.names import nearness
from arasuji.corpus.source import Note, Row

_WRAPPERS = ("data", "Page", "media", "Media")
"""Under these keys an answer keeps its rows."""
_TITLES = ("romaji", "english", "native", "userPreferred")
"""AniList keeps a title under these keys, the one that is taken first."""
_MORE_GENRES = ("explicit_genres", "themes", "demographics")
"""Jikan keeps these apart from the genres; a catalogue shows them together."""
DEEPEST = 3
"""A list of rows is looked for at most this many levels deep in objects that hold objects."""


def entries(document: Any, note: Note) -> list[Row] | None:
    """The objects of a JSON document: a list of them, a table by columns, or what an answer wraps, one or many. None
    where it has none."""
    if isinstance(document, list):
        return document if all(isinstance(row, dict) for row in document) else None
    if not isinstance(document, dict):
        return None
    turned = _turned(document)
    if turned is not None:
        note("it is a table by columns, as pandas writes one, and is read by rows")
        return turned
    wrapped = next((document[name] for name in _WRAPPERS if isinstance(document.get(name), dict | list)), None)
    if wrapped is not None:
        return entries(wrapped, note)
    if holds_texts(document):
        return [document]
    numbered = all(name.isdigit() for name in document)
    if document and all(isinstance(value, dict) and (numbered or holds_texts(value)) for value in document.values()):
        note("it is an object of objects, each of which is a row; their names are not read")
        return list(document.values())
    return _listed(document, note)


def holds_texts(row: Mapping[str, Any]) -> bool:
    """Whether an object has texts, by the name of one of its keys; "stories" may be a list of rows instead."""
    return any(nearness("text", name) and not _are_rows(value) for name, value in row.items())


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and holds_texts(value[0])


def parents_of_texts(row: Row) -> list[str]:
    """The keys of an object under which there are objects with texts."""
    return [name for name, value in row.items() if isinstance(value, dict) and holds_texts(value)]


def _turned(document: Row) -> list[Row] | None:
    """The rows of a table that pandas wrote by columns, as `orient` "columns", "list" or "split"."""
    names, cells = document.get("columns"), document.get("data")
    if isinstance(names, list) and isinstance(cells, list) and all(isinstance(row, list) for row in cells):
        return [dict(zip(map(str, names), row, strict=False)) for row in cells]
    columns = list(document.values())
    if not columns or len({type(column) for column in columns}) > 1:
        return None
    first = columns[0]
    if isinstance(first, dict) and first and all(column.keys() == first.keys() for column in columns):
        numbered = all(key.isdigit() for key in first) and not all(name.isdigit() for name in document)
        if holds_texts(document) or numbered:
            return [{name: column[key] for name, column in document.items()} for key in first]
    if isinstance(first, list) and (holds_texts(document) or len(columns) > 1) and _are_columns(columns):
        return [dict(zip(document, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _are_columns(lists: list[list[Any]]) -> bool:
    """Whether lists stand beside each other in a table: of one length, and no rows themselves."""
    return len({len(cells) for cells in lists}) == 1 and not any(
        isinstance(cell, dict) for cells in lists for cell in cells
    )


def _listed(document: Row, note: Note) -> list[Row]:
    """The one list in a document whose objects hold texts, or the only list of objects in it; else the document as a
    row."""
    lists = list(_lists(document))
    telling = [(name, rows) for name, rows in lists if holds_texts(rows[0]) or parents_of_texts(rows[0])]
    found = lists if not telling and not parents_of_texts(document) else telling
    if len(found) != 1:
        return [document]
    note(f"its rows are read from {found[0][0]!r}")
    return found[0][1]


def _lists(document: Row, above: str = "") -> Iterator[tuple[str, list[Row]]]:
    for name, value in document.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield above + name, value
        elif isinstance(value, dict) and above.count(".") < DEEPEST:
            yield from _lists(value, f"{above}{name}.")


def lifted(row: Row, parent: str) -> Row:
    """A row with the names of what lies in it along the dotted path `parent`, beside its own."""
    inner: Any = row
    for name in parent.split(".") if parent else ():
        inner = inner.get(name) if isinstance(inner, dict) else None
        row = {**inner, **row} if isinstance(inner, dict) else row
    return row


def plain(row: Row) -> Row:
    """An object of either service with a text for its title, a year, and all its genres; any other row as it is."""
    title, start, aired = row.get("title"), row.get("startDate"), row.get("aired")
    flat: Row = {}
    if isinstance(title, dict) and title.keys() & set(_TITLES):
        flat["title"] = next((title[name] for name in _TITLES if title.get(name)), "")
        if row.get("type") in ("ANIME", "MANGA"):
            flat["type"] = row.get("format")
        if not row.get("year") and isinstance(start, dict):
            flat["year"] = row.get("seasonYear") or start.get("year")
    if isinstance(aired, dict) and not row.get("year"):
        flat["year"] = aired.get("from")
    if any(isinstance(row.get(name), list) for name in _MORE_GENRES):
        lists = (row.get(name) for name in ("genres", *_MORE_GENRES))
        flat["genres"] = [genre for genres in lists if isinstance(genres, list) for genre in genres]
    return {**row, **flat} if flat else row
