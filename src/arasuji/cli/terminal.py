"""How the verbs print: results on stdout, progress on stderr, in 80 columns, readable without colour."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from arasuji.cli.shown import in_json
from arasuji.speech import say, shown

COLUMNS = 80


def show_json(value: dict[str, Any]) -> None:
    """The one object of `--json`."""
    print(in_json(json.dumps(value, ensure_ascii=False, allow_nan=False)))


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[Any]], left: int = 1) -> None:
    """A plain table on stdout; the first `left` columns are text, the others are numbers set to the right. A line end
    in a cell is written out, so that no name looks like a row of its own."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, header in enumerate(headers):
        made.add_column(header, justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        made.add_row(*(f"{cell:,}" if isinstance(cell, int) else shown(str(cell)).replace("\n", "\\n") for cell in row))
    console = Console(highlight=False, markup=False)
    if title:
        print(title)
    console.print(made, width=console.width if console.is_terminal else COLUMNS)


def wrapped(text: str, label: str = "") -> str:
    """A text in the columns after its label, broken between words; wide letters count as the two columns they take."""
    from rich.console import Console
    from rich.text import Text

    lines = Text(shown(" ".join(text.split()))).wrap(Console(), COLUMNS - len(label), overflow="fold")
    return "\n".join((" " * len(label) if i else label) + line.plain for i, line in enumerate(lines))


def clipped(text: str, columns: int) -> str:
    """The beginning of a text, in one line of at most `columns` columns."""
    from rich.text import Text

    line = Text(shown(" ".join(text.split())))
    line.truncate(columns, overflow="ellipsis")
    return line.plain


class Flowing:
    """Prints text as it comes; on a terminal, lines break between words."""

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size((COLUMNS, 24)).columns if sys.stdout.isatty() else 0
        self.column, self.gap, self.word = 0, "", ""

    def add(self, text: str) -> None:
        """Print all whole words; the last one waits for its end."""
        text = shown(text)
        if not self.width:
            print(text, end="", flush=True)
            return
        for letter in text:
            if not letter.isspace():
                self.word += letter
                continue
            self._print_word()
            self.gap = " "
            if letter == "\n":
                self._break()
        sys.stdout.flush()

    def end(self) -> None:
        """Print the word that waits, and end the line."""
        self._print_word()
        self._break()
        sys.stdout.flush()

    def _print_word(self) -> None:
        if not self.word:
            return
        if self.column and self.column + len(self.gap + self.word) > self.width > 0:
            self._break()
        part = (self.gap if self.column else "") + self.word
        print(part, end="")
        self.column, self.gap, self.word = self.column + len(part), "", ""

    def _break(self) -> None:
        print()
        self.column, self.gap = 0, ""


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (what is being done, how much of it is done, how much there is). On a terminal it draws a
    bar, which is gone at the end; elsewhere it prints one line when something else is being done."""
    if not sys.stderr.isatty():
        told: set[str] = set()

        def tell(what: str, done: int, total: int) -> None:
            if what not in told:
                told.add(what)
                say(what)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            if bar.tasks[0].description != shown(what):
                bar.reset(task, description=shown(what))
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def working(what: str) -> Iterator[None]:
    """A line that says what the user waits for, gone at the end of the block; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(shown(what))):  # a name may hold what rich would take for markup
        yield
