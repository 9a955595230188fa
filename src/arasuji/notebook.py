"""What a cell of a notebook shows: objects as HTML, and work that goes on.

Texts may come from a stranger, so each is escaped, and characters that change the direction of writing are written out.
A notebook's page may be light or dark, so nothing here has a colour of its own.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from html import escape
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar

from arasuji.speech import duration, shown

FAINT, UNDERLINED = "opacity:0.6", "text-decoration:underline"
"""Styles of a part of a text."""
SERIF = "font-family:Georgia,'Noto Serif',serif;font-size:1.1em;line-height:1.6"
"""The style of literature."""
SECONDS = 0.3
"""Work that goes on is drawn anew at most this often."""

P = ParamSpec("P")
R = TypeVar("R")


def text(value: object) -> str:
    """A text as HTML. Half a surrogate pair, which careless JSON may hold, becomes a question mark."""
    return escape(shown(str(value))).encode("utf-8", "replace").decode()


def block(*parts: str) -> str:
    """Parts below each other, no wider than a page to read. The classes keep MathJax from prices: $5 and $10."""
    return f'<div class="tex2jax_ignore mathjax_ignore" style="max-width:48em">{"".join(parts)}</div>'


def paragraph(value: object, style: str = "") -> str:
    """A paragraph, or a line."""
    return f'<div style="margin:0.4em 0;{style}">{text(value)}</div>'


def passage(value: str, marks: Iterable[tuple[int, int, str]] = ()) -> str:
    """A text as literature is set. Of each mark the characters, from and to, have a style."""
    marks = list(marks)
    places = {0, len(value), *(place for mark in marks for place in mark[:2] if 0 < place < len(value))}
    parts = []
    for start, end in pairwise(sorted(places)):
        style = ";".join(style for first, last, style in marks if first <= start and end <= last)
        parts.append(f'<span style="{style}">{text(value[start:end])}</span>')
    return f'<div style="margin:0.4em 0;white-space:pre-wrap;{SERIF}">{"".join(parts)}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """The first `left` columns are texts, the others are numbers, set to the right."""

    def cell(tag: str, place: int, value: object) -> str:
        side = "left" if place < left else "right"
        shown_value = f"{value:,}" if isinstance(value, int) else value
        return f'<{tag} style="text-align:{side};padding:0.2em 0.8em">{text(shown_value)}</{tag}>'

    def row(tag: str, values: Sequence[object]) -> str:
        return f"<tr>{''.join(cell(tag, place, value) for place, value in enumerate(values))}</tr>"

    body = "".join(row("td", values) for values in rows)
    return f'<table style="margin:0.4em 0"><thead>{row("th", headers)}</thead><tbody>{body}</tbody></table>'


def is_here() -> bool:
    """Whether this code was called by the cell of a notebook: then IPython's kernel runs in this process."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Panel:
    """Lines in the output of a cell, and below them one of work that goes on, which changes in its place."""

    def __init__(self) -> None:
        from IPython.display import display  # every notebook has it, and nothing else needs it

        self._lines: list[str] = []
        self._drawn = 0.0
        self._output = display({"text/plain": ""}, raw=True, display_id=True)

    def say(self, line: str) -> None:
        """Add a line, in the place of the one of work that goes on."""
        self._lines.append(line)
        self._draw(self._lines)

    def show(self, line: str, share: float = 0.0) -> None:
        """What is being done, and the share of it that is done."""
        if time.monotonic() - self._drawn > SECONDS:
            self._draw([*self._lines, line], share)

    def progress(self, what: str, done: int, total: int) -> None:
        """The same as a function that many others take."""
        self.show(what, done / max(1, total))

    def _draw(self, lines: Sequence[str], share: float | None = None) -> None:
        self._drawn = time.monotonic()
        plain = "\n".join(lines)
        drawn = f'<div style="white-space:pre-wrap;font-family:monospace;font-size:0.9em">{text(plain)}</div>'
        if share is not None:
            bar = f'<div style="width:{min(1.0, share):.1%};height:100%;background:currentColor"></div>'
            drawn += f'<div style="width:24em;height:0.5em;border:1px solid currentColor;{FAINT}">{bar}</div>'
        self._output.update({"text/plain": shown(plain), "text/html": block(drawn)}, raw=True)


def shows_progress(work: Callable[P, R]) -> Callable[P, R]:
    """Let a function that takes `progress` show it in a notebook, where its caller gives none."""

    @wraps(work)
    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        if not is_here() or "progress" in inspect.signature(work).bind_partial(*args, **kwargs).arguments:
            return work(*args, **kwargs)
        panel, began = Panel(), time.monotonic()
        given: dict[str, Any] = {**kwargs, "progress": panel.progress}
        found = work(*args, **given)
        panel.say(f"done in {duration(time.monotonic() - began)}")
        return found

    return watched
