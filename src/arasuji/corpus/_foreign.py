"""A program that prints the rows of a Parquet file or a workbook, which it reads from its standard input, as JSON.

    python _foreign.py parquet|workbook < FILE

A line says what is in the file; then there is a line for each row. It needs nothing of arasuji (see `foreign.py`).
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

SLICE = 5000
"""This many rows of a Parquet file are held at once."""
INVALID = 3


def say(value: Any) -> None:
    sys.stdout.buffer.write(json.dumps(value, ensure_ascii=False, default=as_text).encode() + b"\n")


def as_text(value: Any) -> str:
    """A cell that JSON does not know. Some programs mark texts as bytes; bytes that are no text, of a picture, are
    left out."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return ""
    return str(value)


def parquet(polars: Any) -> None:
    table = polars.scan_parquet(sys.stdin.buffer)
    size = table.select(polars.len()).collect().item()
    say({"rows": size})
    for start in range(0, size, SLICE):
        for row in table.slice(start, SLICE).collect().iter_rows(named=True):
            say(row)


def workbook(polars: Any) -> None:
    sheets = polars.read_excel(
        io.BytesIO(sys.stdin.buffer.read()), sheet_id=0, has_header=False, infer_schema_length=0, raise_if_empty=False,
        drop_empty_rows=False,
    )  # fmt: skip
    full = [name for name, sheet in sheets.items() if sheet.height]
    say({"sheets": full})
    for row in sheets[full[0]].iter_rows() if full else ():
        say([cell or "" for cell in row])


def main() -> int:
    import polars
    from fastexcel import FastExcelError

    try:
        {"parquet": parquet, "workbook": workbook}[sys.argv[1]](polars)
    except (FastExcelError, polars.exceptions.PolarsError, ValueError):
        return INVALID
    return 0


if __name__ == "__main__":
    sys.exit(main())
