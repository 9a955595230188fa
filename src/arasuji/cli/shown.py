"""What a terminal would obey is shown instead: names and texts may come from a stranger.

An escape sequence can move the cursor, change a window's title or what the keyboard sends; a mark that turns the
direction of writing can make a name look like another. So nothing of the kind leaves this program but by
`speech.raw`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from arasuji.speech import OBEYED, shown


def in_json(text: str) -> str:
    """JSON as `shown`, whose strings have their own way to write a character."""
    return OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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
