"""A lock on a run folder: one training at a time writes it. The system releases the lock of a killed process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from arasuji import processes
from arasuji.errors import RunError
from arasuji.files import disk_errors


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a run folder for the block. A missing folder is created, and deleted at the end if it is still empty. Of
    several processes that train together, the first one holds the lock.

    Raises RunError where another training holds it."""
    if not processes.is_main():
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    file = folder / ".lock"
    lock = FileLock(file)
    try:
        with disk_errors(folder), suppress(NotImplementedError):  # a file system without locks
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
                if not file.exists():  # another training has deleted and released it just now
                    raise Timeout(str(file))
            except Timeout as error:
                raise RunError(f"another training writes {folder} now; wait for it, or say another --out") from error
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open; it is locked anew all the same
                file.unlink()
            lock.release()
        with suppress(OSError):  # a folder that is not empty stays, and so do its parents
            for path in made:
                path.rmdir()
