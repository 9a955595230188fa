"""Locks between processes: where several would make the same file or folder, one does, and the others wait
(`exclusive`) or are refused (`alone`). The system releases the lock of a killed process."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from arasuji.errors import RunError, StorageError
from arasuji.files import append, disk_errors, make_folder, read_bytes

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a file system answers that has no locks."""
PATIENCE = 0.3
"""Seconds before a process is refused: the studio holds the lock of a run for a moment to see whether it is trained."""


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Only one process at a time is inside the block for a `target`; on a file system without locks, each makes it.
    After waiting, the caller checks first whether `target` has been made meanwhile.

    Raises StorageError where nothing may be written beside `target`.
    """
    with disk_errors(target):
        make_folder(target.parent)
        lock = _locked(target.with_name(f".{target.name}.lock"), -1)
    try:
        yield
    finally:
        if lock:
            lock.release()


@contextmanager
def alone(file: Path, target: Path, what: str) -> Iterator[None]:
    """Be the only process that writes `target`, for the block. The lock `file` names the process. It is deleted at the
    end, and so are the folders that were made for it, if they are empty.

    Raises RunError where another process writes it: "another `what`". Raises StorageError where no lock can be made.
    """
    made = [path for path in (file.parent, *file.parent.parents) if not path.exists()]
    lock: BaseFileLock | None = None
    try:
        with disk_errors(target):
            make_folder(file.parent)
            append(file, "")  # refuses a link, a pipe and a folder
            try:
                if lock := _locked(file, PATIENCE):
                    with suppress(StorageError):  # Windows lets nobody write into a locked file
                        append(file, f"{os.getpid()}\n{platform.node()}\n", at=0)
                else:  # a second file is the lock; filelock writes the same into it
                    lock = SoftFileLock(f"{file}.held")
                    lock.acquire(PATIENCE)
            except Timeout as error:
                raise RunError(_refusal(Path(error.lock_file), target, what)) from error
        yield
    finally:
        if lock:
            with suppress(OSError):  # Windows removes no file that is open; it is locked anew all the same
                file.unlink()
            lock.release()
        with suppress(OSError):  # a folder that is not empty stays, and so do its parents
            for path in made:
                path.rmdir()


def _locked(file: Path, timeout: float) -> BaseFileLock | None:
    """The lock of a file; None on a file system without locks. Raises Timeout, with a timeout below 0 never."""
    lock = FileLock(file, fallback_to_soft=False)
    try:
        lock.acquire(timeout)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return lock


def _refusal(file: Path, target: Path, what: str) -> str:
    """Which other process writes `target`, as far as its lock says, and what can be done."""
    owner, more = "", ""
    with suppress(OSError, ValueError, OverflowError):
        number, machine = read_bytes(file).decode().splitlines()[:2]
        machine = machine.partition("?")[0]  # of filelock, which adds the namespace of the number
        owner = f" (process {int(number)} on {machine})"
        if machine != platform.node() or not psutil.pid_exists(int(number)):
            more = f"; if that has ended, delete {file}"
    return f"another {what} writes {target} now{owner}; wait for it, or say another --out{more}"
