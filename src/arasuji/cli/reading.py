"""The options of every verb that reads files of texts, once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from typer import Option

TextColumn = Annotated[
    str | None, Option(help="The column of the texts, if it is not recognized; a.b is the field b inside the field a")
]
TitleColumn = Annotated[str | None, Option(help="The column of the titles, or none")]
GenreColumn = Annotated[str | None, Option(help="The column of the genres")]
Delimiter = Annotated[str | None, Option(help="The delimiter of a CSV file, if it is not recognized: ; | tab none")]
Encoding = Annotated[str | None, Option(help="The encoding of the text files, such as cp1252 or shift_jis")]
TextLayout = Annotated[
    Literal["lines", "blocks", "markers"] | None,
    Option(
        help="What one text of a .txt file is, if it is not recognized: a line, a block between blank lines, or what "
        "stands between markers"
    ),
]
NoHeader = Annotated[bool, Option("--no-header", help="The first line of a table is a row; columns are 1, 2, 3")]
Largest = Annotated[
    int | None,
    Option(
        metavar="MB",
        min=1,
        help="The most megabytes of a line, a row or a text; default: 16. What a file may unfold to grows with it",
    ),
]
SkipBadRows = Annotated[bool, Option("--skip-bad-rows", help="Leave out rows that do not fit, and count them")]


def as_options(reading: dict[str, Any]) -> list[str]:
    """The words that say these options of reading on a command line."""
    words = []
    for name, value in reading.items():
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)] if value else []
    return words
