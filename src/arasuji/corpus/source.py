"""A source of texts while it is read: its options, bytes and lines, what is noted about it, and rows that do not fit.

Whatever is decided about a file is said in a note that names the option to decide otherwise.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from arasuji.corpus import layout
from arasuji.corpus.encoding import likely_encoding, marked_or_utf8
from arasuji.errors import OptionError, SourceError
from arasuji.speech import listed

Row = dict[str, Any]
Numbered = tuple[int, Row]
"""A row, and the line of the file on which it begins; where a file has no lines, which of its rows it is."""
BytesRead = Callable[[int], None]
"""A function that is told how many bytes of the file have been read."""
Note = Callable[[str], None]
"""A function that is told, in a sentence, what was decided about a file."""

NONE = "none"
"""The value of `title_column` where texts have no titles, and of `delimiter` where each line is one cell."""
SHOWN = 3
"""A note names at most this many of the rows that do not fit."""
TOLD_EVERY = 500
"""Progress is told each time this many lines have been read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How sources are read; what is not said here, the content of a source decides.

    Raises OptionError for an encoding that Python does not know and for a delimiter of several characters.
    """

    text_column: str | None = None
    """The column of the texts, "a.b" for what lies inside another."""
    title_column: str | None = None
    """The column of the titles, or "none"."""
    genre_column: str | None = None
    keep: Sequence[str] = ()
    """Columns whose values go into the metadata as they are."""
    delimiter: str | None = None
    """What stands between the cells of a table: one character, "tab", or "none" where each line is one cell."""
    encoding: str | None = None
    """The encoding of a text file, by a name that Python knows."""
    text_layout: str | None = None
    """What a text of a .txt file is: one of its "lines", of its "blocks" between blank lines, or of the parts between
    "markers"."""
    no_header: bool = False
    """A table's first line is a row; its columns are then named 1, 2, 3."""
    skip_bad_rows: bool = False
    """Leave out rows that do not fit, and count them."""

    def __post_init__(self) -> None:
        layout.check(self.text_layout)
        if self.delimiter not in (None, NONE) and (len(self.separator) != 1 or self.separator in '"\r\n\0'):
            raise OptionError(f"--delimiter {self.delimiter!r}: one character is wanted, or the words tab or none")
        if self.encoding is not None:
            try:
                io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)
            except (LookupError, ValueError) as error:
                raise OptionError(f"--encoding {self.encoding!r}: Python knows no such text encoding") from error

    @property
    def separator(self) -> str:
        """The delimiter as a character; "" where none is named."""
        return {"tab": "\t", "\\t": "\t", None: ""}.get(self.delimiter, self.delimiter or "")


class Source:
    """One file or folder that is being read."""

    def __init__(
        self,
        path: Path,
        reading: Reading | None = None,
        note: Note = lambda sentence: None,
        progress: BytesRead = lambda done: None,
    ) -> None:
        self.path, self.reading, self.progress = path, reading or Reading(), progress
        self.kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
        """What the file's name ends in, before ".gz"."""
        self.unit = "row"
        """What the numbers of its rows count: "row" or "line"."""
        self._note = note
        self._misfits: list[int] = []

    def note(self, sentence: str) -> None:
        """Say what was decided about this file."""
        whole = f"{self.path.name}: {sentence}"
        self._note(whole.encode("utf-8", "replace").decode("utf-8"))  # names may hold half of a surrogate pair

    def misfit(self, number: int, why: str) -> None:
        """A row that does not fit: counted where it may be left out. Raises SourceError where it may not."""
        if not self.reading.skip_bad_rows:
            raise SourceError(
                f"{self.path}: {self.unit} {number}: {why}; mend it, or leave such rows out with --skip-bad-rows"
            )
        self._misfits.append(number)

    def note_misfits(self) -> None:
        """Say, once all is read, how many rows were left out."""
        if self._misfits:
            count = len(self._misfits)
            named = listed([str(number) for number in self._misfits], SHOWN)
            lines = f"{self.unit}{'s' if count > 1 else ''} {named}"
            self.note(f"{count:,} row{'s do' if count > 1 else ' does'} not fit and {'are' if count > 1 else 'is'} "
                      f"left out: {lines}")  # fmt: skip

    @contextmanager
    def opened(self) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
        """The bytes of a file, unpacked where its name ends in .gz, and how many bytes of the file itself are read."""
        path = self.path
        try:
            with path.open("rb") as raw:
                unpacked: Any = gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw
                yield unpacked, raw.tell if raw.seekable() else lambda: 0  # a pipe has no place
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{path}: not a whole gzip file (truncated or damaged): fetch it again") from error
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error

    def lines(self, newline: str = "") -> Iterator[str]:
        """The lines of a text, without a byte order mark, each with its end."""
        blank = True
        encoding = self._encoding()
        with self.opened() as (file, place):
            try:
                for number, line in enumerate(io.TextIOWrapper(file, encoding=encoding, newline=newline)):
                    if "\0" in line:
                        raise SourceError(self._why_unreadable(encoding))
                    blank = blank and not line.strip()
                    if number % TOLD_EVERY == 0:
                        self.progress(place())
                    yield line
            except UnicodeError:
                raise SourceError(self._why_unreadable(encoding)) from None
        if blank:
            raise SourceError(f"{self.path}: the file is empty")

    def _encoding(self) -> str:
        """The encoding that the option names, or the one that the file shows; a pipe can be read only once."""
        if self.reading.encoding is not None:
            named = self.reading.encoding.lower().replace("_", "-")
            return "utf-8-sig" if named in ("utf-8", "utf8") else named
        if not self.path.is_file():
            return "utf-8-sig"
        with self.opened() as (file, _):
            certain = marked_or_utf8(file)
        if certain:
            return certain
        with self.opened() as (file, _):
            found = likely_encoding(file)
        if found:
            self.note(f"not UTF-8: read as {found}; --encoding names another")
        return found or "utf-8-sig"  # the error will say where it fails

    def _why_unreadable(self, encoding: str) -> str:
        """Where the first byte stands that is no text. It is looked for anew: a decoder counts from its last buffer."""
        why, offset = "", 0
        if encoding != "utf-8-sig":
            return f"{self.path}: not {encoding}: name its encoding with --encoding"
        with self.opened() as (file, _):
            for line in file:
                if (zero := line.find(0)) >= 0:
                    return (
                        f"{self.path}: not a text file (a zero byte at offset {offset + zero}); "
                        "UTF-8 text is wanted, or name its encoding with --encoding"
                    )
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    wrong = f"byte 0x{line[error.start]:02x} at offset {offset + error.start}"
                    mend = "save the file as UTF-8, or name its encoding with --encoding"
                    why = why or f"{self.path}: not UTF-8: {wrong}: {mend}"
                offset += len(line)
        return why
