"""A source of texts while it is read: its options, bytes and lines, what is noted about it, and rows that do not fit.

Whatever is decided about a file is said in a note that names the option to decide otherwise.
"""

from __future__ import annotations

import codecs
import io
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from arasuji.corpus import layout
from arasuji.corpus.encoding import CHUNK, likely_encoding, marked_or_utf8
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
LARGEST = 16
"""A line, a row or a text may have this many megabytes unless an option says otherwise: a long novel has three."""
WHOLE, UNFOLDED = 8, 100
"""A file that has to be held whole may have so many times the megabytes of the largest row. What is packed may unfold
to as many, or to so many times its own size: texts are packed to a third, tables that repeat themselves to a tenth."""
COLUMNS = 1000
"""A table may have this many columns for each megabyte of the largest row."""
GZIP = 31
"""This tells zlib that its stream has the head and the sums of a gzip file."""
WAIT = 5.0
"""A pipe that nobody writes into is given up after this many seconds."""


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
    largest: int | None = None
    """The most megabytes of a line, a row or a text; None is LARGEST. Other bounds grow with it."""

    def __post_init__(self) -> None:
        layout.check(self.text_layout)
        if self.largest is not None and self.largest < 1:
            raise OptionError(f"--largest {self.largest}: a number of megabytes is wanted, 1 or more")
        if self.delimiter not in (None, NONE) and (len(self.separator) != 1 or self.separator in '"\r\n\0'):
            raise OptionError(f"--delimiter {self.delimiter!r}: one character is wanted, or the words tab or none")
        if self.encoding is not None:
            try:
                io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)
            except (LookupError, ValueError) as error:
                raise OptionError(f"--encoding {self.encoding!r}: Python knows no such text encoding") from error

    @property
    def megabytes(self) -> int:
        """The most megabytes of a row."""
        return self.largest or LARGEST

    @property
    def row(self) -> int:
        """The most bytes, or characters, of a row."""
        return self.megabytes * 2**20

    @property
    def whole(self) -> int:
        """The most bytes, or characters, of a file that has to be held whole."""
        return WHOLE * self.row

    @property
    def separator(self) -> str:
        """The delimiter as a character; "" where none is named."""
        return {"tab": "\t", "\\t": "\t", None: ""}.get(self.delimiter, self.delimiter or "")


class Held:
    """Lines, of which those that a reader holds at once are counted. It raises an error where they are too many
    characters; whoever has what they make up sets `count` to 0."""

    def __init__(self, lines: Iterable[str], most: int, error: SourceError) -> None:
        self._lines, self._most, self._error = lines, most, error
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.count += len(line)
            if self.count > self._most:
                raise self._error
            yield line


class _Unfolding(io.RawIOBase):
    """What is in a packed file, up to a number of bytes. Zeros after its end are padding, and what follows them is not
    read: Python's own reader looks for the end of them."""

    def __init__(self, packed: IO[bytes], most: int, error: SourceError) -> None:
        self._packed, self._left, self._error = packed, most, error
        self._waiting = packed.read(CHUNK)
        self._member = zlib.decompressobj(GZIP)
        self._ended = not self._waiting

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = b""
        while not found and not self._ended:
            given = self._waiting or self._packed.read(CHUNK)
            if self._member.eof:  # several packed files may follow one another
                self._ended = given[:1] in (b"", b"\0")
                self._member = zlib.decompressobj(GZIP)
            elif not given:
                raise EOFError
            if not self._ended:
                found = self._member.decompress(given, len(buffer))
            self._waiting = self._member.unconsumed_tail or self._member.unused_data
        self._left -= len(found)
        if self._left < 0:
            raise self._error
        buffer[: len(found)] = found
        return len(found)


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
        self.packed = path.name.lower().endswith(".gz")
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

    def too_large(self, what: str) -> SourceError:
        """The error for what goes beyond a bound."""
        raised = f"where that is right, raise the bound with --largest (now {self.reading.megabytes})"
        return SourceError(f"{self.path}: {what}; {raised}")

    def held(self, lines: Iterable[str]) -> Held:
        """Lines that make up rows or texts of several lines."""
        most = 2 * self.reading.row  # the first lines are read before any of them makes up a text
        return Held(lines, most, self.too_large(f"a row or a text has more than {2 * self.reading.megabytes} MB"))

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
            with opened(path) as raw:
                unpacked: Any = raw
                if self.packed:
                    most = max(self.reading.whole, UNFOLDED * path.stat().st_size)
                    error = self.too_large(f"it unfolds to more than {most >> 20} MB, far more than texts do")
                    unpacked = io.BufferedReader(_Unfolding(raw, most, error), CHUNK)
                yield unpacked, raw.tell if raw.seekable() else lambda: 0  # a pipe has no place
        except (EOFError, zlib.error) as error:
            raise SourceError(f"{path}: not a whole gzip file (truncated or damaged): fetch it again") from error
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error

    def lines(self, newline: str = "", most: int = 0) -> Iterator[str]:
        """The lines of a text, without a byte order mark, each with its end. A line has at most the bytes of a row, or
        `most` characters."""
        blank, number, most = True, 0, most or self.reading.row
        encoding = self._encoding()
        with self.opened() as (file, place):
            try:
                text = io.TextIOWrapper(file, encoding=encoding, newline=newline)
                while line := text.readline(most + 1):
                    if "\0" in line:
                        raise SourceError(self._why_unreadable(encoding))
                    if len(line) > most:
                        raise self.too_large(f"line {number + 1} has more than {most >> 20} MB")
                    blank = blank and not line.strip()
                    if number % TOLD_EVERY == 0:
                        self.progress(place())
                    number += 1
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
            decoder = codecs.getincrementaldecoder("utf-8")()
            while chunk := file.read(CHUNK):
                if (zero := chunk.find(0)) >= 0:
                    return (
                        f"{self.path}: not a text file (a zero byte at offset {offset + zero}); "
                        "UTF-8 text is wanted, or name its encoding with --encoding"
                    )
                if not why:
                    begun = len(decoder.getstate()[0])  # of a character, in the chunk before
                    why = self._why_undecodable(decoder, chunk, offset - begun)
                offset += len(chunk)
            return why or self._why_undecodable(decoder, b"", offset - len(decoder.getstate()[0]))

    def _why_undecodable(self, decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int) -> str:
        """Where the first byte stands that is not UTF-8; "" where all are. The last chunk of a file is empty."""
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            wrong = f"byte 0x{error.object[error.start]:02x} at offset {offset + error.start}"
            mend = "save the file as UTF-8, or name its encoding with --encoding"
            return f"{self.path}: not UTF-8: {wrong}: {mend}"
        return ""


def opened(path: Path) -> IO[bytes]:
    """A file or a pipe, opened. Raises OSError for a device, and for a pipe that nobody writes into."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
        raise OSError("it is neither a file nor a pipe")
    if stat.S_ISREG(mode):
        return path.open("rb")
    found: list[IO[bytes] | OSError] = []

    def begin() -> None:
        try:
            found.append(path.open("rb"))  # waits for a writer
        except OSError as error:
            found.append(error)

    opening = Thread(target=begin, daemon=True)
    opening.start()
    opening.join(WAIT)
    if not found:
        raise OSError("it is a pipe that nobody writes into")
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]
