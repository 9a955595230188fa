"""Where one text ends and the next begins in a .txt file: at a line's end, at a blank line, or at a marker.

The file shows it: by its first lines, markers part texts where there are some; a file without blank lines has a text a
line, unless its lines were broken to one width; else a text is a block between blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, pairwise
from statistics import median
from typing import Literal, get_args

from arasuji.corpus.markers import EDGE
from arasuji.corpus.script import UNSPACED
from arasuji.errors import OptionError

Layout = Literal["lines", "blocks", "markers"]

SEEN = 2000
"""The layout is found from this many lines at the beginning of a file."""
SEEN_CHARACTERS = 2**22
"""These lines are fewer where they have more characters than this."""
BROKEN = 0.7
"""Lines count as broken to one width if the width explains at least this share of the line ends."""
WIDEST = 200
"""Lines with more characters than this are not the lines of a paragraph that a person or a program has broken."""
MANY = 20
"""Where the median block has at least this many lines, blank lines stand between chapters rather than texts."""

_FIRST = re.compile(rf"{UNSPACED}|(?:(?!{UNSPACED})\S)+")
_ENDED = re.compile(r"[.!?…。！？][\"'”’)\]»」』]*$")
_WORDS = {"lines": "a text a line", "blocks": "a text between blank lines", "markers": "a text between markers"}


def check(layout: str | None) -> None:
    """Raise OptionError for an unknown layout."""
    if layout is not None and layout not in get_args(Layout):
        raise OptionError(f"no text layout {layout!r}: known: {', '.join(get_args(Layout))}")


def texts_of(
    lines: Iterable[str], layout: str | None = None, note: Callable[[str], None] = lambda sentence: None
) -> Iterator[str]:
    """The texts of a file's lines, in order, without white space around them; none is empty. `note` is called with
    what was decided, if there was a choice.

    Raises OptionError for an unknown layout.
    """
    check(layout)
    lines = iter(lines)
    first = head(lines, SEEN)
    chosen = layout or shown_by([line.strip() for line in first])
    if layout is None and sum(bool(line.strip()) for line in first) > 1:
        others = " or ".join(sorted(set(get_args(Layout)) - {chosen}))
        note(f"read as {_WORDS[chosen]}; --text-layout {others} says otherwise")
    part: dict[str, Callable[[Iterable[str]], Iterable[str]]]
    part = {"lines": iter, "blocks": _blocks, "markers": _between_markers}
    return (text for whole in part[chosen](chain(first, lines)) if (text := whole.strip()))


def head(lines: Iterator[str], count: int) -> list[str]:
    """The first `count` lines, or fewer where these have more than SEEN_CHARACTERS."""
    first: list[str] = []
    characters = 0
    for line in islice(lines, count):
        first.append(line)
        characters += len(line)
        if characters > SEEN_CHARACTERS:
            break
    return first


def shown_by(lines: list[str]) -> Layout:
    """The layout that the lines of a file show, their white space stripped."""
    if sum(bool(part.strip()) for part in EDGE.split("\n".join(lines))) > 1:
        return "markers"
    blocks = [block.split("\n") for block in re.split(r"\n\n+", "\n".join(lines).strip("\n"))]
    parted = len(blocks) > 1 and median(map(len, blocks)) < MANY
    return "blocks" if parted or _broken(blocks) else "lines"


def _broken(blocks: list[list[str]]) -> bool:
    """Whether the lines of paragraphs were broken to one width: the first word of the next line had no room left, and
    it is not sentences that end there."""
    ends = [(line, following) for block in blocks for line, following in pairwise(block)]
    width = max((len(line) for block in blocks for line in block), default=0)
    if not ends or width > WIDEST:
        return False
    full = sum(len(line) + 1 + _first_word(following) > width for line, following in ends)
    sentences = sum(bool(_ENDED.search(line)) for line, _ in ends)
    return full >= BROKEN * len(ends) and sentences <= len(ends) / 2


def _first_word(line: str) -> int:
    """Characters of the first word; where words are not parted by spaces, a line may end after any character."""
    word = _FIRST.search(line)
    return len(word[0]) if word else 0


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    block: list[str] = []
    for line in chain(lines, [""]):
        if line.strip():
            block.append(line)
        elif block:
            yield "".join(block)
            block = []


def _between_markers(lines: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    for line in lines:
        *whole, rest = EDGE.split(line)
        for part in whole:
            yield "".join([*waiting, part])
            waiting = []
        waiting.append(rest)
    yield "".join(waiting)
