"""Read a source of texts as a stream of Records, as they are: CSV, JSON, JSONL and .txt (also .gz), Parquet, Excel, a
folder of .txt files.

A file is never held whole, but for JSON documents and workbooks, which have to be. Every way in which a file can be bad
ends in a SourceError of one line with its path.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

from arasuji.corpus.columns import find_columns, make_record, parent_of_texts, text_id
from arasuji.corpus.folder import is_corpus
from arasuji.corpus.layout import texts_of
from arasuji.corpus.objects import json_rows
from arasuji.corpus.record import Progress, Record
from arasuji.corpus.services import lifted, plain
from arasuji.corpus.source import BytesRead, Note, Numbered, Reading, Source
from arasuji.corpus.tables import csv_rows, excel_rows
from arasuji.corpus.unwrap import Unwrapping
from arasuji.errors import SourceError

SEEN = 1000
"""The columns are found from this many rows at the beginning of a source."""
SLICE = 10_000
"""This many rows of a Parquet file are held at once."""


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
    first = list(islice(rows, SEEN))
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
        yield Record(id=path.stem, text="".join(file.lines()).strip() if _holds(path) else "")
    if notes:
        source.note(f"{len(notes):,} of its files like this one: {notes[0]}")


def _holds(path: Path) -> bool:
    """Whether a file of a folder has anything in it: an empty one is a missing text, not a mistake."""
    with Source(path).opened() as (file, _):
        return bool(file.read().strip())


def _read_texts(source: Source) -> Iterator[Record]:
    for text in texts_of(source.lines(), source.reading.text_layout, source.note):
        yield Record(id=text_id("", text), text=text)


def _parquet_rows(source: Source) -> Iterator[Numbered]:
    import polars  # heavy, and no other kind of file needs it

    path = source.path
    try:
        with path.open("rb") as file:  # a path would be taken for a pattern where it holds [ or *
            packed = path.name.lower().endswith(".gz")
            table = polars.scan_parquet(io.BytesIO(gzip.decompress(file.read())) if packed else file)
            size = table.select(polars.len()).collect().item()
            for start in range(0, size, SLICE):
                source.progress(path.stat().st_size * start // size)
                yield from enumerate(table.slice(start, SLICE).collect().to_dicts(), start=start + 1)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: not a valid Parquet file, or a truncated one") from error


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
