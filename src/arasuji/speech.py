"""What is said to a person about what is going on: on stderr, by one of several processes, and never in the way."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from arasuji import processes

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal may obey: control characters but the tab and the line end; overrides and isolates of direction."""


def shown(text: str) -> str:
    """The text, with what a terminal would obey written out: "\\x1b" for an escape."""
    return OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def raw(stream: TextIO) -> TextIO:
    """The stream below one that shows what is printed, for this program's own control of the terminal."""
    return getattr(stream, "rich_proxied_file", stream)


def say(line: str = "") -> None:
    """A line; of several processes that train together, the first one speaks."""
    if processes.is_main():
        tell(shown(line) + "\n")


def tell(text: str) -> None:
    """A piece of a line, as it is: it may control the terminal. Whoever listened may have gone (`2>&1 | head`): what
    goes on then goes on unheard."""
    try:
        print(text, end="", file=raw(sys.stderr), flush=True)
    except BrokenPipeError:
        silence(sys.stderr.fileno())


def silence(stream: int) -> None:
    """What is written to this stream from now on is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis where it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(parts: Sequence[str], most: int) -> str:
    """The parts with commas between them; after the first `most`, an ellipsis stands for the others."""
    return ", ".join([*parts[:most], "…"] if len(parts) > most else parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes as a person says them."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
