"""A lock between processes: where several would make the same file or folder, one makes it and the others wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from arasuji.files import disk_errors


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Only one process at a time is inside the block for a `target`. The system releases the lock of a killed process.
    After waiting, the caller checks first whether `target` has been made meanwhile.

    Raises StorageError where nothing may be written beside `target`.
    """
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    with disk_errors(target), suppress(NotImplementedError):  # a file system without locks: each process makes `target`
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
