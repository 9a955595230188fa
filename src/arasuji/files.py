"""Atomic writes: a reader sees the old file or the new one, never half of either.

A file is written under a temporary name, synced and renamed. A folder is written beside its place, sealed with
a manifest of sizes and SHA-256 sums (its last file), and swapped in before the old one goes.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import psutil
from safetensors import SafetensorError

from arasuji.errors import StorageError

MANIFEST = "manifest.json"
WORKING: set[str] = set()
"""What this process is writing now."""


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
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Sync every file of a folder and write its manifest, which makes the folder whole."""
    entries = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        sync(path)
        entries[path.relative_to(folder).as_posix()] = {
            "bytes": path.stat().st_size,
            "sha256": file_hash(path),
        }
    write_json(folder / MANIFEST, {**facts, "files": entries})


def verified(folder: Path) -> dict[str, Any] | None:
    """The manifest of a sealed folder whose files all have the recorded sizes and sums; else None."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        for name, entry in manifest["files"].items():
            path = folder / name
            if path.stat().st_size != entry["bytes"] or file_hash(path) != entry["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _work_name(folder: Path) -> str:
    """What this writer calls its work: two that write one folder at once must not be in each other's way."""
    return f".{folder.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"


def _works(folder: Path, kind: str) -> dict[Path, bool]:
    """The folders about to replace this one ("new"), or replaced by another ("old"), and whether their writer is still
    at work, as far as this machine knows."""
    named = re.compile(rf"\.{re.escape(folder.name)}(?:\.(.+)-([0-9]{{1,9}})-[0-9a-f]+)?\.{kind}")
    found = {}
    for path in sorted(folder.parent.glob(f".*.{kind}")):
        if match := named.fullmatch(path.name):
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


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill and `seal`; at the end of the block it takes `target`'s place, and only then the old one goes.

    An error inside the block removes what was written and leaves `target` as it was.
    """
    with disk_errors(target):
        target = target.resolve()  # a link stays a link, and "." has a name
        work = _work_name(target)
        fresh, old = target.with_name(f"{work}.new"), target.with_name(f"{work}.old")
        WORKING.add(work)
        try:
            _clear(target, "new")
            fresh.mkdir(parents=True)
            yield fresh
            sync(fresh)
            _swap(fresh, target, old)
            sync(target.parent)
            WORKING.discard(work)
            _clear(target, "old")
        finally:
            WORKING.discard(work)
            shutil.rmtree(fresh, ignore_errors=True)


def open_folder(target: Path) -> tuple[Path, dict[str, Any]] | None:
    """The first of `target`, one about to replace it and one that it replaced that verifies, with its manifest."""
    target = target.resolve()
    for folder in chain([target], _works(target, "new"), _works(target, "old")):
        manifest = verified(folder)
        if manifest is not None:
            return folder, manifest
    return None
