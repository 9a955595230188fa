"""Read a source of texts as a stream of Records, as they are: CSV, JSON, JSONL and .txt (also .gz), Parquet, Excel, a
folder of .txt files.

A file is never held whole, but for JSON documents and workbooks, which have to be. Every way in which a file can be bad
ends in a SourceError of one line with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from arasuji.corpus import foreign
from arasuji.corpus.columns import find_columns, make_record, parent_of_texts, text_id
from arasuji.corpus.encoding import CHUNK
from arasuji.corpus.folder import is_corpus
from arasuji.corpus.layout import texts_of
from arasuji.corpus.objects import json_rows
from arasuji.corpus.record import Progress, Record
from arasuji.corpus.services import lifted, plain
from arasuji.corpus.source import TOLD_EVERY, BytesRead, Note, Numbered, Reading, Source
from arasuji.corpus.tables import csv_rows, excel_rows
from arasuji.corpus.unwrap import Unwrapping
from arasuji.errors import SourceError

SEEN = 1000
"""The columns are found from this many rows at the beginning of a source."""
SEEN_CHARACTERS, CELL = 2**26, 100
"""They are fewer where they have more characters than this; each cell counts as some more."""
ROWS = 2**16
"""A Parquet file may have so many rows for each megabyte of the largest row, and else at most one for each byte."""


def read_all(sources: Sequence[Path], reading: Reading, note: Note, progress: Progress) -> Iterator[Record]:
    """The records of several sources, one after another. A missing one is an error before the first is read."""
    size = sum(source.stat().st_size for source in sources if source.is_file())
    behind = 0
    streams = []
    for source in sources:
        streams.append(read(source, reading, note, partial(_tell, progress, source, behind, size)))
        behind += source.stat().st_size if source.is_file() else 0
    return chain.from_iterable(streams)


def _tell(progress: Progress, source: Path, behind: int, size: int, done: int) -> None:
    progress(f"reading {source.name}", behind + done, size)


def read(
    path: Path,
    reading: Reading | None = None,
    note: Note = lambda sentence: None,
    progress: BytesRead = lambda done: None,
) -> Iterator[Record]:
    """Every row or text of a source, none left out or changed; a missing text is "". Groups are not set yet.

    A folder gives one record per .txt file; a single .txt one per text that it shows (see `layout`). What is decided
    about a file is told to `note`, with the option of `reading` to decide otherwise.
    Raises SourceError, at once where the source is missing or of an unknown kind, else while iterating: empty,
    binary, truncated, of an unknown encoding, malformed, or without a column of texts.
    """
    source = Source(path, reading, note, progress)
    if path.is_dir():
        return _read_folder(source)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file")
    if source.kind == "txt":
        return _read_texts(source)
    if source.kind not in READERS:
        known = ", ".join(f".{name}" for name in (*READERS, "txt"))
        raise SourceError(f"{path}: unknown kind of file: known: {known} (also .gz), or a folder of .txt files")
    return _read_rows(source)


def _read_rows(source: Source) -> Iterator[Record]:
    rows = READERS[source.kind](source)
    first = _first(rows)
    if not first:
        raise SourceError(f"{source.path}: there are no rows in it")
    parent = parent_of_texts(source, [row for _, row in first])
    columns = find_columns(source, [plain(lifted(row, parent)) for _, row in first])
    unwrapping = Unwrapping()
    for number, row in chain(first, rows):
        try:
            yield make_record(plain(lifted(row, parent)), columns, unwrapping)
        except ValueError as error:
            source.misfit(number, str(error))
    for sentence in unwrapping.notes():
        source.note(sentence)
    source.note_misfits()


def _first(rows: Iterator[Numbered]) -> list[Numbered]:
    """The first rows: `SEEN`, or fewer where these are many cells or characters."""
    first: list[Numbered] = []
    held = 0
    for row in rows:
        first.append(row)
        held += sum(len(value) if isinstance(value, str) else CELL for value in row[1].values()) + CELL * len(row[1])
        if len(first) == SEEN or held > SEEN_CHARACTERS:
            break
    return first


def _read_folder(source: Source) -> Iterator[Record]:
    folder = source.path
    paths = sorted(folder.glob("*.txt"))
    if not paths and is_corpus(folder):
        raise SourceError(f"{folder}: this is a corpus already: train on it with --corpus {folder}")
    if not paths:
        raise SourceError(f"{folder}: there is no .txt file in this folder")
    return _read_files(source, paths)


def _read_files(source: Source, paths: Sequence[Path]) -> Iterator[Record]:
    notes: list[str] = []
    for path in paths:
        file = Source(path, source.reading, notes.append)
        yield Record(id=path.stem, text="".join(file.held(file.lines())).strip() if _holds(file) else "")
    if notes:
        source.note(f"{len(notes):,} of its files like this one: {notes[0]}")


def _holds(source: Source) -> bool:
    """Whether a file of a folder has anything in it: an empty one is a missing text, not a mistake."""
    with source.opened() as (file, _):
        return any(chunk.strip() for chunk in iter(partial(file.read, CHUNK), b""))


def _read_texts(source: Source) -> Iterator[Record]:
    lines = source.held(source.lines())
    for text in texts_of(lines, source.reading.text_layout, source.note):
        lines.count = 0
        yield Record(id=text_id("", text), text=text)


def _parquet_rows(source: Source) -> Iterator[Numbered]:
    found = foreign.lines(source, "parquet", "not a valid Parquet file, or a truncated one")
    size, count = source.path.stat().st_size, next(found)["rows"]
    if count > max(ROWS * source.reading.megabytes, size):
        raise source.too_large(f"it has {count:,} rows in {size:,} bytes, far more than texts have")
    for number, row in enumerate(found, start=1):
        if number % TOLD_EVERY == 0:
            source.progress(size * number // count)
        yield number, row


READERS: dict[str, Callable[[Source], Iterator[Numbered]]] = {
    "csv": csv_rows,
    "tsv": csv_rows,
    "tab": csv_rows,
    "jsonl": json_rows,
    "ndjson": json_rows,
    "json": json_rows,
    "parquet": _parquet_rows,
    "xlsx": excel_rows,
    "xls": excel_rows,
    "ods": excel_rows,
}
"""What reads the rows of a file, by the ending of its name."""
