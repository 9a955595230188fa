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
                    soft = SoftFileLock(_held(file))
                    soft.acquire(PATIENCE)
                    lock = soft  # only now: who does not hold it deletes nothing
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


def is_held(file: Path) -> bool:
    """Whether a process is the only one of its kind by the lock `file` (see `alone`). The file of a killed one is
    deleted. Where that cannot be found out, as in a folder that may not be written, the answer is no."""
    if _held(file).exists():
        return not _ended(*_owner(_held(file)))
    if not file.is_file():
        return False
    try:
        lock = _locked(file, 0)
    except Timeout:
        return True
    except OSError:
        return False
    if lock:
        with suppress(OSError):  # its process was killed, or has deleted it just now, and it was made anew to be locked
            file.unlink()
        lock.release()
    return False


def _held(file: Path) -> Path:
    """The file that is the lock where the file system has none."""
    return file.with_name(f"{file.name}.held")


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
    number, machine = _owner(file)
    ended, more = _ended(number, machine), ""
    if file.suffix == ".held":  # the system does not release it when its process is killed
        more = f"; if that has ended, delete {file}" if ended or machine != platform.node() else ""
    elif ended:  # of a killed process; the one that has the lock now writes its own number in a moment
        machine = ""
    owner = f" (process {number} on {machine})" if machine else ""
    return f"another {what} writes {target} now{owner}; wait for it, or say another --out{more}"


def _owner(file: Path) -> tuple[int, str]:
    """The number of the process that holds a lock, and its machine; 0 and an empty name where the lock does not say."""
    try:
        number, machine = read_bytes(file).decode().splitlines()[:2]
        return int(number), machine.partition("?")[0]  # filelock adds the namespace of the number
    except (OSError, ValueError):
        return 0, ""


def _ended(number: int, machine: str) -> bool:
    """Whether the process that holds a lock has ended, as far as this machine knows."""
    try:
        return machine == platform.node() and not psutil.pid_exists(number)
    except OverflowError:  # no process has such a number
        return True
