"""The answers of AniList (GraphQL) and Jikan v4 (REST) as rows with plain columns.

The shapes are those of https://docs.anilist.co and https://docs.api.jikan.moe.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

_WRAPPERS = ("data", "Page", "media", "Media")
_MORE_GENRES = ("explicit_genres", "themes", "demographics")  # Jikan keeps these apart; a catalogue shows them together


def entries(document: Any) -> list[Row] | None:
    """The objects of a JSON document: a list of them, or what an answer wraps, one or many. None where it has none."""
    if isinstance(document, list):
        return document if all(isinstance(row, dict) for row in document) else None
    if not isinstance(document, dict):
        return None
    wrapped = next((document[name] for name in _WRAPPERS if isinstance(document.get(name), dict | list)), None)
    return [document] if wrapped is None else entries(wrapped)


def plain(row: Row) -> Row:
    """An object of either service with a text for its title, a year, and all its genres; any other row as it is."""
    title, start, aired = row.get("title"), row.get("startDate"), row.get("aired")
    flat: Row = {}
    if isinstance(title, dict):
        names = (title.get(name) for name in ("romaji", "english", "native", "userPreferred"))
        flat["title"] = next((name for name in names if name), "")
        if row.get("type") in ("ANIME", "MANGA"):
            flat["type"] = row.get("format")
        if not row.get("year") and isinstance(start, dict):
            flat["year"] = row.get("seasonYear") or start.get("year")
    if isinstance(aired, dict) and not row.get("year"):
        flat["year"] = aired.get("from")
    if any(isinstance(row.get(name), list) for name in _MORE_GENRES):
        lists = (row.get(name) for name in ("genres", *_MORE_GENRES))
        flat["genres"] = [genre for genres in lists if isinstance(genres, list) for genre in genres]
    return {**row, **flat}
