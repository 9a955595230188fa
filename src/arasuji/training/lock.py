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
        self._file = folder / ".lock"
        self._lock = FileLock(self._file)

    def take(self) -> None:
        """Make the folder the caller's own. Raises RunError where another training has it."""
        if not processes.is_main() or self._lock.is_locked:
            return
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with suppress(NotImplementedError):  # a file system without locks
                    self._lock.acquire(timeout=0)
                    if not self._file.exists():  # it was another's, who let go of it just now
                        self._lock.release()
                        raise Timeout(str(self._file))
            except Timeout as error:
                raise RunError(
                    f"another training writes {self.folder} now; wait for it, or say another --out"
                ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open; it is locked anew all the same
                self._file.unlink()
            self._lock.release()
