"""Messages for a person: on stderr, from the first of several processes, and dropped where nobody reads them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from arasuji import processes

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys: control characters other than the tab and the line end, and those that change the
direction of writing (overrides and isolates)."""


def shown(text: str) -> str:
    """The text, in which each character that a terminal obeys is written out: "\\x1b" for an escape."""
    return OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def raw(stream: TextIO) -> TextIO:
    """The stream below a `Shown` one (see `cli/shown.py`), by which this program controls the terminal."""
    return getattr(stream, "rich_proxied_file", stream)


def say(line: str = "") -> None:
    """Print a line; of several processes that train together, only the first one does."""
    if processes.is_main():
        tell(shown(line) + "\n")


def tell(text: str) -> None:
    """Print a piece of a line as it is: it may control the terminal. Where the reader has gone (`2>&1 | head`, a closed
    terminal), or a disk is full, this and all later messages are dropped."""
    try:
        print(text, end="", file=raw(sys.stderr), flush=True)
    except OSError:
        silence(sys.stderr.fileno())


def silence(stream: int) -> None:
    """Drop what is written to this stream from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis where it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(parts: Sequence[str], most: int) -> str:
    """The parts with commas between them; after the first `most`, an ellipsis stands for the others."""
    return ", ".join([*parts[:most], "…"] if len(parts) > most else parts)


def share(part: float) -> str:
    """A share in per cent, with the digits that a reader can use."""
    percent = 100 * part
    if 0 < percent < 0.01:
        return "under 0.01\u00a0%"
    digits = ".0f" if percent in (0, 100) else ".1f" if percent >= 1 else ".2g"
    return f"{percent:{digits}}\u00a0%"


def duration(seconds: float) -> str:
    """Seconds, in a unit that is easy to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes, in a unit that is easy to read."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
