"""One training at a time writes a run folder. The system itself lets go where a training was killed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from arasuji import processes
from arasuji.errors import RunError
from arasuji.files import disk_errors


class RunLock:
    """Held from `take` to the end of the block; of several processes that train together, the first one holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / ".lock")

    def take(self) -> None:
        """Make the folder the caller's own. Raises RunError where another training has it."""
        if not processes.is_main() or self._lock.is_locked:
            return
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with suppress(NotImplementedError):  # a file system without locks
                    self._lock.acquire(timeout=0)
            except Timeout as error:
                raise RunError(
                    f"another training writes {self.folder} now; wait for it, or say another --out"
                ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()
