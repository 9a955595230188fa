"""One training at a time writes a run folder. The system itself lets go where a training was killed."""

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
    """Inside, the folder is the caller's own; it is made where it is missing, and goes again where nothing was put
    into it. Of several processes that train together, the first one has it. Raises RunError where another training
    has it."""
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
                if not file.exists():  # it was another's, who let go of it just now
                    raise Timeout(str(file))
            except Timeout as error:
                raise RunError(f"another training writes {folder} now; wait for it, or say another --out") from error
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open; it is locked anew all the same
                file.unlink()
            lock.release()
        with suppress(OSError):  # the first that holds something stays, and so do those above it
            for path in made:
                path.rmdir()
