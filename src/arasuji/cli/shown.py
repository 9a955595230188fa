"""Characters that a terminal obeys are written out, since names and texts may come from a stranger.

An escape sequence can move the cursor, or change the title of a window or what the keyboard sends; a mark that changes
the direction of writing can make one name look like another. Only `speech.raw` prints such characters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from arasuji.speech import OBEYED, shown, silence


def in_json(text: str) -> str:
    """JSON in which characters that a terminal obeys are escaped as JSON does it."""
    return OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Shown:
    """A stream that prints all text through `speech.shown`. rich, which writes control sequences of its own, finds the
    stream below under the name `rich_proxied_file`; texts go through `shown` before rich gets them."""

    def __init__(self, stream: TextIO | Lasting) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(shown(text))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class Lasting:
    """A stream that drops what cannot be written, on a full disk or a terminal that is gone: the work goes on, and
    `lost` says why at its end. A reader who has left (`| head`) is a BrokenPipeError all the same."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise error
        self.lost = error
        silence(self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def show_streams() -> None:
    """From now on, all that is printed goes through `speech.shown`."""
    if not isinstance(sys.stdout, Shown):
        sys.stdout = Shown(Lasting(sys.stdout))
    if not isinstance(sys.stderr, Shown):
        sys.stderr = Shown(sys.stderr)
