"""Folders that are written whole: a reader sees the old folder or the new one, never half of either.

A folder is written beside its place, sealed with a manifest of sizes and SHA-256 sums (its last file), and renamed into
its place; then the old folder is deleted.

A folder may come from a stranger. Only a folder that was sealed by this package is replaced, and nothing is written
through a link. (A mounted disk cannot be told from a folder.)
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import psutil

from arasuji.files import disk_errors, file_hash, read_json, sync, work_name, write_json

MANIFEST = "manifest.json"
"""The file that seals a folder: it lists the size and the SHA-256 sum of every other file."""
WORKING: set[str] = set()
"""The names of the folders that this process is writing now."""


def sums(folder: Path) -> dict[str, dict[str, Any]]:
    """Sync every file of a folder, and return its size and SHA-256 sum under its path in the folder."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        sync(path)
        entries[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": file_hash(path)}
    return entries


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Sync every file of a folder and write its manifest: from now on the folder counts as whole."""
    write_json(folder / MANIFEST, {**facts, "files": sums(folder)})


def verified(folder: Path, *holds: str) -> dict[str, Any] | None:
    """The manifest of a sealed folder. None where a file has another size or sum than the manifest says, and where the
    manifest does not list the files `holds`."""
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


def unlisted_name(folder: Path) -> str:
    """The first name in a folder that its manifest does not list. An empty string means that the folder may be
    replaced: it was sealed by this package, or is empty."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    try:
        listed = read_json(folder / MANIFEST)["files"].keys() if entries else set()
        known = {MANIFEST, *(PurePosixPath(name).parts[0] for name in listed)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return entries[0].name
    return next((entry.name for entry in entries if entry.name not in known and not _added_later(entry)), "")


def _added_later(entry: os.DirEntry[str]) -> bool:
    """Whether it is a sealed folder that was added later (a corpus's index), or one that a killed process has left."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return (entry.name.startswith(".") and entry.name.endswith((".new", ".old"))) or not unlisted_name(Path(entry.path))


def _unfinished(folder: Path, kind: str) -> dict[Path, bool]:
    """The folders that are to replace `folder` (kind "new"), or that were replaced (kind "old"). The value says whether
    the writer of the folder is still running, as far as this machine knows."""
    named = re.compile(rf"\.{re.escape(folder.name)}(?:\.(.+)-([0-9]{{1,9}})-[0-9a-f]+)?\.{kind}")
    found = {}
    for path in sorted(folder.parent.glob(f".*.{kind}")):
        if (match := named.fullmatch(path.name)) and not path.is_symlink():
            found[path] = _is_running(path, *match.groups())
    return found


def _is_running(path: Path, machine: str | None, process: str | None) -> bool:
    if machine is None or process is None:  # earlier versions wrote no process into the name
        return False
    if machine == platform.node() and int(process) == os.getpid():
        return path.stem in WORKING
    return machine != platform.node() or psutil.pid_exists(int(process))


def _delete_unfinished(folder: Path, kind: str) -> None:
    """Delete the folders whose writers were killed."""
    for path, running in _unfinished(folder, kind).items():
        if not running:
            shutil.rmtree(path, ignore_errors=True)


def _replace(fresh: Path, target: Path, old: Path) -> None:
    """Put `fresh` in the place of `target`, which becomes `old`. Where two processes do this at
    the same time, the folder of the last one stays."""
    while True:
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            fresh.rename(target)
            return
        except BaseException as error:
            if getattr(error, "errno", None) in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
                shutil.rmtree(old, ignore_errors=True)
                continue
            if old.exists():
                old.rename(target)
            raise


def _check_replaceable(target: Path) -> None:
    """Raise OSError where `target` is a link, or was not sealed by this package. Where another process replaces it
    meanwhile, it is looked at again."""
    if target.is_symlink():
        raise OSError("it is a link, and is left alone")
    while target.is_dir():
        with suppress(FileNotFoundError):
            before, name, after = target.stat(), unlisted_name(target), target.stat()
            if not name:
                return
            if (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns):
                raise OSError(f"it holds {name!r}, which was not written with it, and is left alone")


def _full_path(target: Path) -> Path:
    """The full path of a folder, with all links resolved except the last part of the path; "." gets a name."""
    return target.parent.resolve() / target.name if target.name not in ("", "..") else target.resolve()


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that only this process writes, deleted at the end of the block.

    Folders that killed processes left there are deleted first.
    """
    work = work_name(target)
    fresh = target.with_name(f"{work}.new")
    WORKING.add(work)
    try:
        _delete_unfinished(target, "new")
        fresh.mkdir(parents=True)
        yield fresh
    finally:
        WORKING.discard(work)
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill and `seal`. At the end of the block it replaces `target`; only then the old folder is deleted.

    After an error inside the block `target` is as before, and the new folder is deleted. Raises StorageError where
    `target` is a link, or was not sealed by this package.
    """
    with disk_errors(target):
        target = _full_path(target)
        _check_replaceable(target)
        with work_folder(target) as fresh:
            yield fresh
            sync(fresh)
            _replace(fresh, target, fresh.with_suffix(".old"))
            sync(target.parent)
        _delete_unfinished(target, "old")


def open_folder(target: Path, *holds: str) -> tuple[Path, dict[str, Any]] | None:
    """A folder that is `verified`, with its manifest: `target`, or else a folder that was to replace it when a process
    was killed, or else one that `target` replaced. None where no such folder is whole."""
    target = _full_path(target)
    for folder in chain([target], _unfinished(target, "new"), _unfinished(target, "old")):
        manifest = verified(folder, *holds)
        if manifest is not None:
            return folder, manifest
    return None
