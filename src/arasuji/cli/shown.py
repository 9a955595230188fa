"""What a terminal would obey is shown instead: names and texts may come from a stranger.

An escape sequence can move the cursor, change a window's title or what the keyboard sends; a mark that turns the
direction of writing can make a name look like another. So nothing of the kind leaves this program but by `raw`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but the tab and the line end; overrides and isolates of direction."""


def shown(text: str) -> str:
    """The text, with what a terminal would obey written out: "\\x1b" for an escape."""
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def in_json(text: str) -> str:
    """The same of JSON, whose strings have their own way to write a character."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def raw(stream: TextIO) -> TextIO:
    """The stream below, for this program's own control of the terminal."""
    return getattr(stream, "rich_proxied_file", stream)


class Shown:
    """A stream that shows what is printed. rich has its own control sequences, and finds the stream below by the name
    `rich_proxied_file`; what it prints is shown before it gets it."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(shown(text))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def show_streams() -> None:
    """From here on, print what is shown."""
    sys.stdout, sys.stderr = (s if isinstance(s, Shown) else Shown(s) for s in (sys.stdout, sys.stderr))
