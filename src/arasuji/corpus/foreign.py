"""Rows of Parquet files and workbooks, read in a separate process.

Their libraries believe the sizes that a file claims, and crash the process that lacks the memory for them. So the
memory of the process (`_foreign.py`) is watched, and what it prints is counted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Thread
from typing import IO, Any

from arasuji.corpus.source import UNFOLDED, Source
from arasuji.errors import SourceError
from arasuji.files import disk_errors

PROGRAM = Path(__file__).with_name("_foreign.py")
OWN, PER_ROW, PER_BYTE = 128, 16, 8
"""The program may take so many megabytes, and so many times the size of the largest row; or so many times that of the
file, if this is more."""
PAUSE = 0.02
"""Seconds between two looks at its memory."""
HOLE = 2**26
"""A file of which nobody knows how much is a hole counts as so many bytes at most."""
INVALID = 3
"""The exit code with which the program refuses a file."""


def lines(source: Source, kind: str, invalid: str) -> Iterator[Any]:
    """The values that the program prints for a "parquet" file or a "workbook". `invalid` says what it is where the file
    is none of them. Raises SourceError."""
    with source.opened() as (file, _), _unpacked(file) if source.packed else nullcontext(file) as whole:
        found = os.fstat(whole.fileno())
        blocks = getattr(found, "st_blocks", 0)  # 0 where the file system does not count them
        size = min(found.st_size, 512 * blocks or HOLE)  # a file may be a hole of any size
        memory = max(OWN + PER_ROW * source.reading.megabytes, PER_BYTE * size >> 20)
        most = max(source.reading.whole, UNFOLDED * size)
        with subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM), kind],
            stdin=whole, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            watch = Thread(target=_end_beyond, args=(process, memory << 20), daemon=True)
            watch.start()
            try:
                printed, row = 0, 0
                while line := process.stdout.readline(source.reading.row + 1):
                    if len(line) > source.reading.row:
                        raise source.too_large(f"row {row} has more than {source.reading.megabytes} MB")
                    if not line.endswith(b"\n"):  # the program was ended in the middle of a row
                        break
                    printed, row = printed + len(line), row + 1
                    if printed > most:
                        raise source.too_large(f"it unfolds to more than {most >> 20} MB, far more than texts do")
                    yield json.loads(line)
                process.wait()
            finally:
                process.kill()
        if process.returncode == INVALID:
            raise SourceError(f"{source.path}: {invalid}")
        if process.returncode:
            raise SourceError(f"{source.path}: {invalid}; or it needs more than {memory} MB, which --largest raises")


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """What a compressed file holds, as a file."""
    with tempfile.TemporaryFile() as unpacked:
        with disk_errors(Path(tempfile.gettempdir())):
            shutil.copyfileobj(file, unpacked)
        unpacked.seek(0)
        yield unpacked


def _end_beyond(process: subprocess.Popen[bytes], most: int) -> None:
    """End a process when it has more than so many bytes of memory. With a limit of the system its threads would wait
    for ever for one that got none."""
    import psutil

    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if watched.memory_info().rss > most:
                process.kill()
            time.sleep(PAUSE)
    except psutil.Error:
        return  # it has ended
