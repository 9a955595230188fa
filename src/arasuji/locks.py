"""Of processes that would make the same thing at the same time, one makes it and the others wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from arasuji.files import disk_errors


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Inside, no other process is that asks for the same `target`. The system lets go of the lock of one that was
    killed. Whoever has waited looks first whether what it wants is there now.

    Raises StorageError where nothing may be written beside `target`.
    """
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    with disk_errors(target), suppress(NotImplementedError):  # a file system without locks: each makes its own
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
