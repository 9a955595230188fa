"""Folders that are written whole: a reader sees the old folder or the new one, never half of either.

A folder is written beside its place, sealed with a manifest of sizes and SHA-256 sums (its last file), and renamed into
its place; then the old folder is deleted.

A folder may come from a stranger. Only a folder that was sealed by this package is replaced, and nothing is written
through a link. (A mounted disk cannot be told from a folder.)
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from arasuji.errors import StorageError
from arasuji.files import (
    disk_errors,
    file_hash,
    full_path,
    make_folder,
    read_json,
    sync,
    sync_errors,
    sync_names,
    unfinished,
    working,
    write_json,
)

T = TypeVar("T")
MANIFEST = "manifest.json"
"""The file that seals a folder: it lists the size and the SHA-256 sum of every other file."""
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
FASTER = (errno.ENOENT, *TAKEN)
"""The errors of a rename where another process has done the same just before."""
READINGS = 10
"""A folder that is replaced while it is read is read so many times."""


def sums(folder: Path) -> dict[str, dict[str, Any]]:
    """Sync every file and folder of a folder, and return the size and SHA-256 sum of each file under its path in it."""
    entries: dict[str, dict[str, Any]] = {}
    for inner in (p for p in folder.rglob("*") if p.is_dir()):
        sync_names(inner)
    mode = folder.stat().st_mode & 0o666  # safetensors lets nobody but the owner read what it writes
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        with suppress(OSError):  # some disks have no permissions
            path.chmod(mode)
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):  # too many open files: nothing is damaged
            raise
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


def _delete_unfinished(folder: Path, kind: str) -> None:
    """Delete the folders that were to replace `folder` (kind "new"), or that it has replaced (kind "old"), and whose
    writers were killed."""
    for path, running in unfinished(folder, kind).items():
        if not running:
            shutil.rmtree(path, ignore_errors=True)


def _put_back(target: Path) -> None:
    """Where a process was killed after it had moved `target` away, put a whole folder there, one that was to
    replace it before one that it replaced: it stays until its successor is whole."""
    if os.path.lexists(target):
        return
    for path, running in chain(unfinished(target, "new").items(), unfinished(target, "old").items()):
        if not running and verified(path) is not None:
            try:
                path.rename(target)
            except OSError as error:
                if error.errno not in FASTER:
                    raise
            return


def tidy(target: Path) -> None:
    """Delete what killed processes have left of a folder that is whole. Where one had moved it away, it is put back."""
    with disk_errors(target):
        target = full_path(target)
        _put_back(target)
        left = [path for kind in ("new", "old") for path, running in unfinished(target, kind).items() if not running]
        if left and verified(target) is not None:
            for path in left:
                shutil.rmtree(path, ignore_errors=True)


def _replace(fresh: Path, target: Path, old: Path) -> None:
    """Put `fresh` in the place of `target`, which becomes `old`. Where two processes do this at the same time, the
    folder of the last one stays."""
    try:
        while True:
            with suppress(FileNotFoundError):
                target.rename(old)
            try:
                fresh.rename(target)
                return
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
                shutil.rmtree(old, ignore_errors=True)
    except BaseException:  # an error, or a signal between the two renames
        if old.exists() and not os.path.lexists(target):
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


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that only this process writes, deleted at the end of the block.

    Folders that killed processes left there are deleted first.
    """
    with working(target) as work:
        fresh = target.with_name(f"{work}.new")
        _delete_unfinished(target, "new")
        make_folder(target.parent)
        try:
            fresh.mkdir()
            yield fresh
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill and `seal`. At the end of the block it replaces `target`; only then the old folder is deleted.

    After an error inside the block `target` is as before, and the new folder is deleted. Raises StorageError where
    `target` is a link, or was not sealed by this package.
    """
    with disk_errors(target):
        target = full_path(target)
        _check_replaceable(target)
        _put_back(target)
        with work_folder(target) as fresh:
            try:
                yield fresh
            except StorageError as error:
                if str(fresh) in str(error) and error.__cause__:  # of a file within it, which nobody will find
                    raise error.__cause__ from None
                raise
            sync_names(fresh)
            _check_replaceable(target)  # again: a person may have put something there meanwhile
            _replace(fresh, target, fresh.with_suffix(".old"))
    with sync_errors(target):
        sync_names(target.parent)
    with suppress(OSError):  # what is left is deleted the next time
        _delete_unfinished(target, "old")


def open_folder(target: Path, *holds: str) -> tuple[Path, dict[str, Any]] | None:
    """A folder that is `verified`, with its manifest: `target`, or else a folder that was to replace it when a process
    was killed, or else one that `target` replaced. None where no such folder is whole."""
    target = full_path(target)
    for folder in chain([target], unfinished(target, "new"), unfinished(target, "old")):
        manifest = verified(folder, *holds)
        if manifest is not None:
            return folder, manifest
    return None


def unchanged(target: Path, read: Callable[[], T]) -> T:
    """What `read` makes of the files of a folder. Where another process replaces the folder meanwhile, it reads again:
    what it returns is of one folder, and no error is raised for files that are gone. A folder that is replaced faster
    than it is read is what was read last."""
    for reading in range(READINGS):
        last, before = reading == READINGS - 1, _state(target)
        try:
            found = read()
        except Exception:
            if last or _state(target) == before:
                raise
        else:
            if last or _state(target) == before:
                return found
            del found  # before the next one takes as much memory
    raise AssertionError("the last reading ends")


def _state(target: Path) -> tuple[int, int] | None:
    """What differs between a sealed folder and the one that replaces it; None while there is none."""
    try:
        found = (target / MANIFEST).lstat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
