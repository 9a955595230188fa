"""Atomic writes of one file, and reading files that may come from a stranger.

A file is written under a temporary name, synced and renamed: a reader sees the old file or the new one, never half of
either. `folders` does the same for a whole folder.

A file that is read is a regular one of a bounded size. No link in the place of a file is followed, unless a person has
named it on the command line (`follow`). A hard link cannot be told from a file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import psutil
from safetensors import SafetensorError

from arasuji.errors import ArasujiError, StorageError

JSON_BYTES = 2**20
"""A JSON file of ours may be this large: thousands of times what is written."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""With this flag the system refuses to open a link; Windows does not have it."""
AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""With these flags a pipe is opened without waiting for a writer, so that it can be refused."""
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""What a system answers that cannot sync a folder, as some of the network; there the names are as safe as it allows."""
WORKING: set[str] = set()
"""The names of the files and folders that this process is writing now (see `working`)."""


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an error while writing (disk full, read-only, no permission) into one line: StorageError."""
    try:
        yield
    except Exception as error:
        # Libraries in Rust have errors of their own for it; that of tokenizers is a plain Exception.
        of_the_disk = isinstance(error, OSError | SafetensorError) or "(os error " in str(error)
        if isinstance(error, ArasujiError) or not of_the_disk:
            raise
        raise StorageError(f"cannot write {target}: {_reason(error)}; what stood there before is intact") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or ["no reason given"])[0]


def sync(path: Path) -> None:
    """Wait until a file is on the disk. Windows has no such call for a file that is only read."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Wait until the names of the files in a folder are on the disk, where the file system has a call for it."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


@contextmanager
def sync_errors(target: Path) -> Iterator[None]:
    """Turn an error after `target` was written into one line, which says so: StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{target} is written, but may be lost if the power fails: {_reason(error)}; check the disk, and write it "
            "again"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where they are missing."""
    if folder != folder.parent and not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_names(folder.parent)


def full_path(target: Path) -> Path:
    """The full path of a file or folder, with all links resolved except in the last part; "." gets a name."""
    if target.name in ("", ".."):
        return Path(os.path.realpath(target))
    return Path(os.path.realpath(target.parent)) / target.name


def start_time(process: int) -> float:
    """When a process began, in seconds: another process may get its number later."""
    # Linux knows the time since the machine started, and psutil adds the start, which moves when the clock is set.
    return psutil.Process(process).create_time() - (psutil.boot_time() if psutil.LINUX else 0)


def is_running(process: int, began: float) -> bool:
    """Whether the process that has this number and began then has not ended."""
    try:
        return abs(start_time(process) - began) < 1 and psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def working(target: Path) -> Iterator[str]:
    """A name for unfinished work on `target`, with the machine, the process and the second in which it began: no two
    writers have the same."""
    process = os.getpid()
    name = f".{target.name}.{_machine()}-{process}-{start_time(process):.0f}-{secrets.token_hex(4)}"
    WORKING.add(name)
    try:
        yield name
    finally:
        WORKING.discard(name)


def unfinished(target: Path, kind: str) -> dict[Path, bool]:
    """The unfinished work on `target` with the ending `kind`. The value says whether its writer is still running, as
    far as this machine knows."""
    named = re.compile(rf"\.{re.escape(target.name)}\.([^.]*)-([0-9]{{1,9}})-([0-9]{{1,12}})-[0-9a-f]+\.{kind}")
    found = {}
    for path in sorted(target.parent.glob(f".*.{kind}")):
        if (match := named.fullmatch(path.name)) and not path.is_symlink():
            found[path] = _is_worked_on(path, match[1], int(match[2]), int(match[3]))
    return found


def _machine() -> str:
    """The name of this machine, without points: so the name of unfinished work is that of one target alone."""
    return platform.node().replace(".", "_")


def _is_worked_on(path: Path, machine: str, process: int, began: int) -> bool:
    if machine != _machine():
        return True
    return path.stem in WORKING if process == os.getpid() else is_running(process, began)


@contextmanager
def new_file(path: Path, follow: bool = False) -> Iterator[IO[str]]:
    """A text file to write. At the end of the block it is on the disk and replaces `path`. What killed processes have
    left of the same file is deleted.

    After an error inside the block `path` is as before. A link is refused; with `follow`, the file that it leads to is
    replaced.
    """
    with disk_errors(path):
        path = Path(os.path.realpath(path)) if follow else full_path(path)
        if path.is_symlink():
            raise OSError("it is a link, and is left alone")
        make_folder(path.parent)
        with working(path) as work:
            temporary = path.with_name(f"{work}.tmp")
            try:
                with temporary.open("w", encoding="utf-8") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
    with sync_errors(path):
        sync_names(path.parent)
    with suppress(OSError):  # what is left is deleted the next time
        for left, running in unfinished(path, "tmp").items():
            if not running:
                left.unlink()


def write_text(path: Path, text: str, follow: bool = False) -> None:
    """Write a whole file, or nothing (see `new_file`)."""
    with new_file(path, follow) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write a whole file of indented JSON, or nothing."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def regular(path: Path, follow: bool = False) -> Iterator[BufferedReader]:
    """Open a file to read it. Raises OSError for a link (unless `follow`) and for a pipe, a device or a folder."""
    descriptor = os.open(path, os.O_RDONLY | AT_ONCE | (0 if follow else NO_LINK))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        yield file


def append(path: Path, content: str | bytes, at: int | None = None) -> None:
    """Append to a file, which is created where it is missing; after its first `at` bytes where that is said, and the
    bytes behind them are dropped. A link is refused."""
    with disk_errors(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(f"{path} is a link or no regular file, and is left alone")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | AT_ONCE | NO_LINK, 0o666)
        with os.fdopen(descriptor, "ab") as file:
            if at is not None:
                file.truncate(at)
            file.write(content.encode() if isinstance(content, str) else content)


def read_bytes(path: Path, most: int = JSON_BYTES, follow: bool = False) -> bytes:
    """All of a regular file. Raises OSError (see `regular`), and ValueError where it holds more than `most` bytes."""
    with regular(path, follow) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} is larger than {most:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for invalid JSON, for NaN, and for brackets nested too deep."""

    def refuse(name: str) -> float:
        if name == "NaN":
            raise ValueError("NaN is no number")
        return float(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deep") from error


def read_json(path: Path, most: int = JSON_BYTES, follow: bool = False) -> Any:
    """The value of a JSON file. Raises the errors of `read_bytes` and `parse_json`."""
    return parse_json(read_bytes(path, most, follow))


def file_hash(path: Path, follow: bool = True) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with regular(path, follow) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
