"""Read a source of texts as a stream of Records, as they are: CSV, JSONL, JSON and .txt (also .gz), Parquet, a folder
of .txt files.

A file is never held whole, but for JSON, which has to be. Every way in which a file can be bad ends in a SourceError
of one line with its path.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from arasuji.corpus import Progress, is_corpus
from arasuji.corpus.columns import find_columns, make_record, text_id
from arasuji.corpus.layout import texts_of
from arasuji.corpus.record import Record
from arasuji.corpus.services import entries, plain
from arasuji.errors import SourceError

Row = dict[str, Any]
Told = Callable[[int], None]
"""Is told how many bytes of the file have been read."""

SEEN = 1000
"""Rows that are looked at to find the columns."""
LONGEST_FIELD = 2**31 - 1
"""Characters of a CSV field; the library's own limit of 131,072 is meant for other things."""
SLICE = 10_000
"""Rows of a Parquet file that are held at once."""
TOLD_EVERY = 500
"""Rows between two words about the progress."""


def read_all(sources: Sequence[Path], progress: Progress, **columns: Any) -> Iterator[Record]:
    """The records of several sources, one after another; `columns` are the options of `read`. The sources are looked
    for before the first is read."""
    size = sum(source.stat().st_size for source in sources if source.is_file())
    behind = 0
    streams = []
    for source in sources:
        streams.append(read(source, **columns, progress=partial(_tell, progress, source, behind, size)))
        behind += source.stat().st_size if source.is_file() else 0
    return chain.from_iterable(streams)


def _tell(progress: Progress, source: Path, behind: int, size: int, done: int) -> None:
    progress(f"reading {source.name}", behind + done, size)


def read(
    path: Path,
    text_column: str | None = None,
    title_column: str | None = None,
    genre_column: str | None = None,
    keep: Sequence[str] = (),
    progress: Told = lambda done: None,
) -> Iterator[Record]:
    """Every row or text of a source, none left out or changed; a missing text is "". Groups are not set yet.

    A folder gives one record per .txt file; a single .txt one per block between blank lines. `keep` names columns
    whose values go into the metadata as they are.
    Raises SourceError, at once where the source is missing or of an unknown kind, else while iterating: empty,
    binary, truncated, not UTF-8, malformed, or without a column of texts.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in READERS and kind != "txt":
        known = ", ".join(f".{name}" for name in (*READERS, "txt"))
        raise SourceError(f"{path}: unknown kind of file: known: {known} (also .gz), or a folder of .txt files")
    if kind == "txt":
        return _read_texts(path, progress)
    chosen = {"text": text_column, "title": title_column, "genres": genre_column}
    return _read_rows(path, READERS[kind](path, progress), chosen, keep)


def _read_rows(path: Path, rows: Iterator[Row], chosen: dict[str, str | None], keep: Sequence[str]) -> Iterator[Record]:
    first = list(islice(rows, SEEN))
    if not first:
        raise SourceError(f"{path}: there are no rows in it")
    columns = find_columns(path, first, chosen, keep)
    for row in chain(first, rows):
        yield make_record(row, columns)


def _read_folder(folder: Path) -> Iterator[Record]:
    paths = sorted(folder.glob("*.txt"))
    if not paths and is_corpus(folder):
        raise SourceError(f"{folder}: this is a corpus already: train on it with --corpus {folder}")
    if not paths:
        raise SourceError(f"{folder}: there is no .txt file in this folder")
    return (Record(id=path.stem, text="".join(_lines(path)).strip() if _holds(path) else "") for path in paths)


def _holds(path: Path) -> bool:
    """Whether a file of a folder has anything in it: an empty one is a missing text, not a mistake."""
    with _opened(path) as (file, _):
        return bool(file.read().strip())


def _read_texts(path: Path, progress: Told) -> Iterator[Record]:
    return (Record(id=text_id("", text), text=text) for text in texts_of(_lines(path, progress)))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The bytes of a file, unpacked where its name ends in .gz, and how many bytes of the file itself are read."""
    try:
        with path.open("rb") as raw:
            unpacked: Any = gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw
            yield unpacked, raw.tell if raw.seekable() else lambda: 0  # a pipe has no place
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path}: not a whole gzip file (truncated or damaged): fetch it again") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def _lines(path: Path, progress: Told = lambda done: None, newline: str = "") -> Iterator[str]:
    """The lines of a UTF-8 text, with or without a byte order mark, each with its end."""
    blank = True
    with _opened(path) as (file, place):
        try:
            for number, line in enumerate(io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline)):
                if "\0" in line:
                    raise SourceError(_why_unreadable(path))
                blank = blank and not line.strip()
                if number % TOLD_EVERY == 0:
                    progress(place())
                yield line
        except UnicodeDecodeError:
            raise SourceError(_why_unreadable(path)) from None
    if blank:
        raise SourceError(f"{path}: the file is empty")


def _why_unreadable(path: Path) -> str:
    """Where the first byte stands that is no text; looked for anew, since a decoder counts from its last buffer."""
    why, offset = "", 0
    with _opened(path) as (file, _):
        for line in file:
            if (zero := line.find(0)) >= 0:
                return f"{path}: not a text file (a zero byte at offset {offset + zero}); UTF-8 text is wanted"
            try:
                line.decode()
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{line[error.start]:02x} at offset {offset + error.start}"
                why = why or f"{path}: not UTF-8: {wrong}: save the file as UTF-8"
            offset += len(line)
    return why


def _csv_rows(path: Path, progress: Told) -> Iterator[Row]:
    """The standard library's reader: it names the wrong line, and allows a quote inside a bare field."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(_lines(path, progress), strict=True)
    try:
        header = next(cells for cells in reader if cells)
        for cells in reader:
            if len(cells) > len(header):
                message = f"{path}: line {reader.line_num}: {len(cells)} fields under {len(header)} columns"
                raise SourceError(message)
            if cells:  # a blank line is no row
                yield dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise SourceError(f"{path}: line {reader.line_num}: not a valid CSV: {error}") from error


def _jsonl_rows(path: Path, progress: Told) -> Iterator[Row]:
    # newline="\n": JSON strings may hold U+2028 and others, and lines end in nothing else.
    for number, line in enumerate(_lines(path, progress, newline="\n"), start=1):
        if line.strip():
            row = _parsed(f"{path}: line {number}", line)
            if not isinstance(row, dict):
                raise SourceError(f"{path}: line {number}: not a JSON object: one {{...}} a line is wanted")
            yield plain(row)


def _json_rows(path: Path, progress: Told) -> Iterator[Row]:
    """A list of objects, or an answer of AniList or Jikan."""
    found = entries(_parsed(str(path), "".join(_lines(path, progress))))
    if found is None:
        raise SourceError(f"{path}: no list of objects, nor an answer of AniList or Jikan, is in this JSON file")
    yield from map(plain, found)


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply")
        raise SourceError(f"{where}: not valid JSON: {reason}") from error


def _parquet_rows(path: Path, progress: Told) -> Iterator[Row]:
    import polars  # heavy, and no other kind of file needs it

    try:
        with path.open("rb") as file:  # a path would be taken for a pattern where it holds [ or *
            packed = path.name.lower().endswith(".gz")
            table = polars.scan_parquet(io.BytesIO(gzip.decompress(file.read())) if packed else file)
            size = table.select(polars.len()).collect().item()
            for start in range(0, size, SLICE):
                progress(path.stat().st_size * start // size)
                yield from table.slice(start, SLICE).collect().to_dicts()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: not a valid Parquet file, or a truncated one") from error


READERS: dict[str, Callable[[Path, Told], Iterator[Row]]] = {
    "csv": _csv_rows,
    "jsonl": _jsonl_rows,
    "ndjson": _jsonl_rows,
    "json": _json_rows,
    "parquet": _parquet_rows,
}
