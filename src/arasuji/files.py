"""Atomic writes: a reader sees the old file or the new one, never half of either.

A file is written under a temporary name, synced and renamed. A folder is written beside its place, sealed with
a manifest of sizes and SHA-256 sums (its last file), and swapped in before the old one goes.

A folder may come from a stranger. So what is read in it is a regular file of a bounded size, reached without a link;
what is replaced is a folder that was sealed here, and no link is written through. (A link that a person names on the
command line is theirs, and followed: callers resolve it. A hard link looks like any file, and a mounted disk like any
folder: they are not told apart.)
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any

import psutil
from safetensors import SafetensorError

from arasuji.errors import StorageError

MANIFEST = "manifest.json"
WORKING: set[str] = set()
"""What this process is writing now."""
JSON_BYTES = 2**20
"""The most that a file of facts or options may hold: thousands of times what is written."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe is opened without waiting for who writes into it, so that it can be told from a file."""


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a refused write (disk full, read-only, no permission) into one line."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["no reason given"])[0]
        raise StorageError(f"cannot write {target}: {reason}; what stood there before is intact") from error


def sync(path: Path) -> None:
    """Ask the system to put a file or a folder's entries on the disk; Windows has no such call for folders."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A text file to write, which takes `path`'s place at the end of the block: temporary name, fsync, rename.

    An error inside the block leaves what stood there before.
    """
    with disk_errors(path):
        path = path.resolve()  # a link stays a link, and "." has a name
        temporary = path.with_name(f"{_work_name(path)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file, or nothing."""
    with new_file(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """`write_text` of readable JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def regular(path: Path, follow: bool = False) -> Iterator[BufferedReader]:
    """A file to read. Raises OSError for a link (unless `follow`) and for a pipe, a device or a folder."""
    descriptor = os.open(path, os.O_RDONLY | AT_ONCE | (0 if follow else NO_LINK))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        yield file


def append(path: Path, text: str) -> None:
    """Add a text to the end of a file, which is made where it is missing; never through a link."""
    with disk_errors(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(f"{path} is a link or no regular file, and is left alone")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | AT_ONCE | NO_LINK, 0o666)
        with os.fdopen(descriptor, "ab") as file:
            file.write(text.encode())


def read_bytes(path: Path, most: int = JSON_BYTES, follow: bool = False) -> bytes:
    """All of a regular file. Raises OSError (see `regular`), and ValueError where it holds more than `most` bytes."""
    with regular(path, follow) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} is larger than {most:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """What JSON says. Raises ValueError for all that is none: NaN and thousands of nested brackets are not."""

    def refuse(name: str) -> float:
        if name == "NaN":
            raise ValueError("NaN is no number")
        return float(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deep") from error


def read_json(path: Path, most: int = JSON_BYTES, follow: bool = False) -> Any:
    """What a JSON file says; raises as `read_bytes` and `parse_json`."""
    return parse_json(read_bytes(path, most, follow))


def file_hash(path: Path, follow: bool = True) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with regular(path, follow) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(folder: Path) -> dict[str, dict[str, Any]]:
    """Sync every file of a folder; its size and SHA-256, by its path in the folder."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        sync(path)
        entries[path.relative_to(folder).as_posix()] = {
            "bytes": path.stat().st_size,
            "sha256": file_hash(path),
        }
    return entries


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Sync every file of a folder and write its manifest, which makes the folder whole."""
    write_json(folder / MANIFEST, {**facts, "files": sums(folder)})


def verified(folder: Path, *holds: str) -> dict[str, Any] | None:
    """The manifest of a sealed folder whose files all have the recorded sizes and sums; else None, also where it does
    not list the files that it must hold."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return None
        manifest = read_json(folder / MANIFEST)
        if not set(holds) <= manifest["files"].keys():
            return None
        for name, entry in manifest["files"].items():
            path = _inside(folder, name)
            if path.lstat().st_size != entry["bytes"] or file_hash(path, follow=False) != entry["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(manifest)


def _inside(folder: Path, name: str) -> Path:
    """The file that a manifest names. Raises ValueError where the name, or a link, leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or {".", "..", "/"} & set(parts) or set(name) & set("\\:\0"):
        raise ValueError(f"{name!r} is no name of a file in a folder")
    for count in range(1, len(parts)):
        if not stat.S_ISDIR(folder.joinpath(*parts[:count]).lstat().st_mode):
            raise ValueError(f"{name!r} is reached by a link")
    return folder.joinpath(*parts)


def stranger_in(folder: Path) -> str:
    """What a folder holds that was not written with it: the first such name; empty where it was sealed here, or is
    empty, and may be replaced."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    try:
        listed = read_json(folder / MANIFEST)["files"].keys() if entries else set()
        known = {MANIFEST, *(PurePosixPath(name).parts[0] for name in listed)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return entries[0].name
    return next((entry.name for entry in entries if entry.name not in known and not _beside(entry)), "")


def _beside(entry: os.DirEntry[str]) -> bool:
    """Whether it is a sealed folder, kept in another one since (a corpus's index), or what a kill has left of it."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return (entry.name.startswith(".") and entry.name.endswith((".new", ".old"))) or not stranger_in(Path(entry.path))


def _work_name(target: Path) -> str:
    """What this writer calls its work: two that write one thing at once must not be in each other's way."""
    return f".{target.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"


def _works(folder: Path, kind: str) -> dict[Path, bool]:
    """The folders about to replace this one ("new"), or replaced by another ("old"), and whether their writer is still
    at work, as far as this machine knows."""
    named = re.compile(rf"\.{re.escape(folder.name)}(?:\.(.+)-([0-9]{{1,9}})-[0-9a-f]+)?\.{kind}")
    found = {}
    for path in sorted(folder.parent.glob(f".*.{kind}")):
        if (match := named.fullmatch(path.name)) and not path.is_symlink():
            found[path] = _at_work(path, *match.groups())
    return found


def _at_work(path: Path, machine: str | None, process: str | None) -> bool:
    if machine is None or process is None:  # as earlier versions called it
        return False
    if machine == platform.node() and int(process) == os.getpid():
        return path.stem in WORKING
    return machine != platform.node() or psutil.pid_exists(int(process))


def _clear(folder: Path, kind: str) -> None:
    """Remove what writers that were killed have left."""
    for path, at_work in _works(folder, kind).items():
        if not at_work:
            shutil.rmtree(path, ignore_errors=True)


def _swap(fresh: Path, target: Path, old: Path) -> None:
    """Put `fresh` in the place of `target`, which becomes `old`. Of writers that come at once, the last one's stays."""
    while True:
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            fresh.rename(target)
            return
        except BaseException as error:
            if getattr(error, "errno", None) in (errno.ENOTEMPTY, errno.EEXIST):  # another came in between
                shutil.rmtree(old, ignore_errors=True)
                continue
            if old.exists():
                old.rename(target)
            raise


def _place(target: Path) -> Path:
    """The folder's own place: links that lead to it are followed, and one that stands in its place is not; "." has a
    name."""
    return target.parent.resolve() / target.name if target.name not in ("", "..") else target.resolve()


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A folder of this writer's own beside `target`, gone at the end of the block; so is what killed writers left."""
    work = _work_name(target)
    fresh = target.with_name(f"{work}.new")
    WORKING.add(work)
    try:
        _clear(target, "new")
        fresh.mkdir(parents=True)
        yield fresh
    finally:
        WORKING.discard(work)
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill and `seal`; at the end of the block it takes `target`'s place, and only then the old one goes.

    An error inside the block removes what was written and leaves `target` as it was. Raises StorageError where
    `target` is a link, or was not sealed here.
    """
    with disk_errors(target):
        target = _place(target)
        if target.is_symlink():
            raise OSError("it is a link, and is left alone")
        if target.is_dir() and (name := stranger_in(target)):
            raise OSError(f"it holds {name!r}, which was not written with it, and is left alone")
        with work_folder(target) as fresh:
            yield fresh
            sync(fresh)
            _swap(fresh, target, fresh.with_suffix(".old"))
            sync(target.parent)
        _clear(target, "old")


def open_folder(target: Path, *holds: str) -> tuple[Path, dict[str, Any]] | None:
    """The first of `target`, one about to replace it and one that it replaced that verifies, with its manifest."""
    target = _place(target)
    for folder in chain([target], _works(target, "new"), _works(target, "old")):
        manifest = verified(folder, *holds)
        if manifest is not None:
            return folder, manifest
    return None
