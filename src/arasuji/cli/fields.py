"""`--title`, `--genre`, `--year`, `--type`, `--field`: what a model is told of the text that it writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from arasuji.errors import OptionError

if TYPE_CHECKING:
    from arasuji.generation.wishes import Wishes

Title = Annotated[str | None, Option("--title", help="The title of the text, for a run that can be told it")]
Genre = Annotated[list[str] | None, Option("--genre", help="A genre; for several, say the option several times")]
Year = Annotated[str | None, Option("--year", help="Its year")]
Type = Annotated[str | None, Option("--type", help="Its type, such as TV or Movie")]
Field = Annotated[list[str] | None, Option("--field", metavar="NAME=VALUE", help="Any other field of it")]
AnyGenre = Annotated[
    bool, Option("--any-genre", help="Go on with a genre, or another value, that no training text has")
]


def asked_fields(
    title: str | None, genres: list[str] | None, year: str | None, type: str | None, more: list[str] | None
) -> dict[str, Any]:
    """The fields that were given. Raises OptionError for a --field that is none, or that is given twice."""
    given: dict[str, Any] = {"title": title, "genres": genres or None, "year": year, "type": type}
    for text in more or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--field takes NAME=VALUE, not {text!r}")
        if given.get(name.strip()) is not None:
            raise OptionError(f"the field {name.strip()!r} is given twice")
        given[name.strip()] = value
    return {name: value for name, value in given.items() if value is not None}


def asked_wishes(
    required: list[str] | None, without: list[str] | None, words: str | None, no_known_names: bool, mend: bool
) -> Wishes:
    """The wishes that were given. Raises OptionError for a range of words that is none."""
    from arasuji.generation.wishes import Wishes

    found = re.fullmatch(r"(\d{1,6})\.\.(\d{1,6})", words) if words is not None else None
    if words is not None and not found:
        raise OptionError(f"--words takes A..B, such as 80..120, not {words!r}")
    asked = (int(found[1]), int(found[2])) if found else None
    return Wishes(required or (), without or (), asked, names=not no_known_names, mended=mend)
