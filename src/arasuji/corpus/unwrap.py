"""Texts and titles that are objects or lists of texts, as services and databases give them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

VALUES = ("value", "text", "#text", "plain", "content", "body", "rendered", "description", "synopsis")
"""An object keeps its text under one of these keys; the first that it has is taken."""
LANGUAGES = (
    "romaji english native userpreferred ar bg ca cs da de el en es et eu fa fi fr gl he hi hr hu id it ja ko lt lv ms "
    "nb nl no pl pt ro ru sk sl sr sv th tl tr uk vi zh"
)
"""An object that holds a text in several languages has such keys, alone or before a "-" or "_"."""
TITLES_FIRST = ("romaji", "en_jp", "ja-ro", "english", "en")
"""The first of these languages that a title has is taken; the romanised title is the same for all parts of a series."""
TEXTS_FIRST = ("en", "english", "en-us", "en_us")
"""The first of these languages that a text has is taken."""


class Unwrapping:
    """Takes the text out of an object or a list that stands in the place of a text, and counts how often."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()

    def text(self, value: Any, column: str = "text") -> Any:
        """The text that an object or a list holds; any other value as it is. Raises ValueError where it holds none."""
        if not isinstance(value, dict | list | bool):
            return value
        taken: list[tuple[str, str]] = []
        text = _text(value, column, taken)
        self._taken.update(taken)
        return text

    def title(self, value: Any) -> Any:
        """A title; "" where an object or a list holds none, since a record needs no title."""
        if isinstance(value, list):
            return self.title(value[0]) if value else ""
        if isinstance(value, dict):
            key = _value(value, ("title", "name", *VALUES), TITLES_FIRST)
            return "" if key is None else self.title(value[key])
        return value

    def notes(self) -> list[str]:
        """What was taken, in sentences."""
        return [f"{kind} in place of texts ({count:,}): {what}" for (kind, what), count in self._taken.items()]


def _text(value: Any, column: str, taken: list[tuple[str, str]]) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"its text is {str(value).lower()}, and no text")
    if isinstance(value, dict) and value:
        key = _value(value, VALUES, TEXTS_FIRST)
        if key is None:
            inside = " or ".join(" ".join(f"{column}.{key}".split()) for key in list(value)[:5])
            raise ValueError(f"its text is an object; --text-column names a part of it, such as {inside}")
        taken.append(("objects", f"their {key!r} is read; --text-column {column}.OTHER reads another part"))
        return _text(value[key], column, taken)
    if isinstance(value, list) and value:
        parts = [_text(part, column, taken) for part in value if part is not None]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("its text is a list of other things than texts")
        taken.append(("lists", "their parts are joined line by line"))
        return "\n".join(parts)
    return "" if isinstance(value, dict | list) else value


def _value(value: dict[str, Any], keys: tuple[str, ...], languages: tuple[str, ...]) -> str | None:
    """The key under which an object keeps its text: a usual one, or where all its keys are languages, one of those."""
    there = [key for key in value if value[key]] or list(value)
    usual = next((key for key in keys if key in there), None)
    if (
        usual is not None
        or not value
        or not all(re.split("[-_]", key.lower())[0] in LANGUAGES.split() for key in value)
    ):
        return usual
    return next((key for key in languages if key in there), there[0])
