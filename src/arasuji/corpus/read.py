"""Read a file of texts into Records, as they are: CSV, JSONL and .txt (also .gz), Parquet, a folder of .txt.

Every way in which a file can be bad ends in a SourceError of one line with its path.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arasuji.corpus import Record
from arasuji.corpus.columns import find_columns, make_record, text_id
from arasuji.errors import SourceError

Row = dict[str, Any]


def read(
    path: Path,
    text_column: str | None = None,
    title_column: str | None = None,
    genre_column: str | None = None,
) -> list[Record]:
    """Every row or text of a source, none left out or changed; a missing text is "". Groups are not set yet.

    A folder gives one record per .txt file; a single .txt one per block between blank lines.
    Raises SourceError: missing, empty, binary, truncated, not UTF-8, malformed, or without a column of texts.
    """
    if path.is_dir():
        return _read_folder(path)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in READERS and kind != "txt":
        known = ", ".join(f".{name}" for name in (*READERS, "txt"))
        raise SourceError(f"{path}: unknown kind of file: known: {known} (also .gz), or a folder of .txt files")
    data = _load(path)
    if kind == "txt":
        blocks = re.split(r"\n\s*\n", _decode(path, data))
        return [Record(id=text_id("", block), text=block) for block in (b.strip() for b in blocks) if block]
    rows = READERS[kind](path, data)
    if not rows:
        raise SourceError(f"{path}: there are no rows in it")
    columns = find_columns(path, rows, {"text": text_column, "title": title_column, "genres": genre_column})
    return [make_record(row, columns) for row in rows]


def _read_folder(folder: Path) -> list[Record]:
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise SourceError(f"{folder}: there is no .txt file in this folder")
    return [Record(id=path.stem, text=_decode(path, _load(path)).strip()) for path in paths]


def _load(path: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz."""
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz") and data:
            data = gzip.decompress(data)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: there is no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path}: not a whole gzip file (truncated or damaged): fetch it again") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise SourceError(f"{path}: the file is empty")
    return data


def _decode(path: Path, data: bytes) -> str:
    """Text from UTF-8, with or without a byte order mark."""
    zero = data.find(b"\0")
    if zero >= 0:
        raise SourceError(f"{path}: not a text file (a zero byte at offset {zero}); UTF-8 text is wanted")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        value = data[error.start]
        message = f"{path}: not UTF-8: byte 0x{value:02x} at offset {error.start}: save the file as UTF-8"
        raise SourceError(message) from error


def _csv_rows(path: Path, data: bytes) -> list[Row]:
    """The standard library's reader: it names the wrong line, and allows a quote inside a bare field."""
    reader = csv.reader(io.StringIO(_decode(path, data), newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = next(reader)
        for cells in reader:
            if len(cells) > len(header):
                message = f"{path}: line {reader.line_num}: {len(cells)} fields under {len(header)} columns"
                raise SourceError(message)
            if cells:  # a blank line is no row
                rows.append(dict.fromkeys(header, "") | dict(zip(header, cells, strict=False)))
    except csv.Error as error:
        raise SourceError(f"{path}: line {reader.line_num}: not a valid CSV: {error}") from error
    return rows


def _jsonl_rows(path: Path, data: bytes) -> list[Row]:
    rows = []
    # Not splitlines(): JSON strings may hold U+2028 and others that it would split at.
    for number, line in enumerate(_decode(path, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise SourceError(f"{path}: line {number}: not valid JSON: {reason}") from error
        if not isinstance(row, dict):
            raise SourceError(f"{path}: line {number}: not a JSON object: one {{...}} a line is wanted")
        rows.append(row)
    return rows


def _parquet_rows(path: Path, data: bytes) -> list[Row]:
    import polars  # heavy, and no other kind of file needs it

    try:
        return polars.read_parquet(io.BytesIO(data)).to_dicts()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise SourceError(f"{path}: not a valid Parquet file, or a truncated one") from error


READERS: dict[str, Callable[[Path, bytes], list[Row]]] = {
    "csv": _csv_rows,
    "jsonl": _jsonl_rows,
    "ndjson": _jsonl_rows,
    "parquet": _parquet_rows,
}
