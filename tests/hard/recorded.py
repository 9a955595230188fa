"""What a process has done to the files in a folder, made of the calls of the system that strace has recorded.

Files that are written as memory, and calls that copy from file to file, are not followed: `record` refuses a case of
which the recorded calls do not make what stands in the folder at the end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hard.forked import Zygote

Tree = dict[str, bytes | None]
"""A folder: the content of each file by its path in there; None for a folder, and a link is its target."""
CALLS = (
    "?open,?creat,openat,close,?dup,?dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,ftruncate,fallocate,fsync,"
    "fdatasync,?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,mkdirat"
)
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
ROOT = 0


@dataclass(frozen=True)
class Written:
    """Bytes of a file."""

    inode: int
    at: int
    data: bytes


@dataclass(frozen=True)
class Sized:
    """A file that was cut off, or made longer."""

    inode: int
    size: int


@dataclass(frozen=True)
class Named:
    """Names that come and go together: the folder, the name, the file or folder, and whether it has the name now."""

    changes: tuple[tuple[int, str, int, bool], ...]


@dataclass(frozen=True)
class Synced:
    """A file or a folder that is on the disk."""

    inode: int


Change = Written | Sized | Named


@dataclass
class Disk:
    """Files and folders by their inodes, and the names of these in the folders."""

    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})

    @classmethod
    def of(cls, tree: Tree) -> Disk:
        disk = cls()
        for path, content in sorted(tree.items()):
            folder, name = disk.place(path)
            disk.folders[folder][name] = disk.new(content)
        return disk

    def new(self, content: bytes | None) -> int:
        """A new file or, without content, a new folder."""
        inode = len(self.files) + len(self.folders)
        if content is None:
            self.folders[inode] = {}
        else:
            self.files[inode] = content
        return inode

    def place(self, path: str) -> tuple[int, str]:
        """The folder of a path, and the name in there."""
        folder = ROOT
        *parents, name = path.split("/")
        for parent in parents:
            folder = self.folders[folder][parent]
        return folder, name

    def find(self, path: str) -> int | None:
        if not path:
            return ROOT
        folder, name = self.place(path)
        return self.folders[folder].get(name)

    def apply(self, change: Change) -> None:
        if isinstance(change, Named):
            renamed(self.folders, change)
        else:
            self.files[change.inode] = rewritten(self.files[change.inode], change)

    def tree(self, folders: Mapping[int, dict[str, int]], files: Mapping[int, bytes]) -> Tree:
        """What can be reached, where `folders` and `files` take the place of its own."""
        found: Tree = {}
        waiting = [("", ROOT)]
        while waiting:
            before, folder = waiting.pop()
            for name, inode in folders[folder].items():
                path = before + name
                if inode in folders:
                    found[path] = None
                    waiting.append((f"{path}/", inode))
                else:
                    found[path] = files[inode] if inode in files else self.files[inode]
        return found


def renamed(folders: dict[int, dict[str, int]], change: Named) -> None:
    """Change names in place."""
    for folder, name, inode, there in change.changes:
        if there:
            folders[folder][name] = inode
        elif folders[folder].get(name) == inode:
            del folders[folder][name]


def rewritten(content: bytes, change: Written | Sized) -> bytes:
    """The content of a file after a change."""
    if isinstance(change, Sized):
        return content[: change.size].ljust(change.size, b"\0")
    return content.ljust(change.at, b"\0")[: change.at] + change.data + content[change.at + len(change.data) :]


def snapshot(root: Path) -> Tree:
    """What stands in a folder."""
    found: Tree = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        found[name] = (
            os.fsencode(os.readlink(path)) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        )
    return found


@dataclass
class Handle:
    """An open file or folder; what was duplicated is shared."""

    inode: int
    at: int = 0
    appends: bool = False


class Recording:
    """What a process has done in a folder."""

    def __init__(self, root: Path, before: Tree, cwd: Path) -> None:
        self.root, self.before, self.cwd = str(root), before, str(cwd)
        self.disk = Disk.of(before)
        """As a process sees it."""
        self.done: list[Change | Synced] = []
        self._open: dict[int, Handle] = {}

    def read(self, log: str) -> None:
        """Follow the lines of strace."""
        begun: dict[str, str] = {}
        for line in log.splitlines():
            process = line.split(" ", 1)[0]
            if line.endswith("<unfinished ...>"):
                begun[process] = line.removesuffix("<unfinished ...>")
                continue
            if " resumed>" in line:
                line = begun.pop(process) + line.partition(" resumed>")[2]
            if match := LINE.match(line):
                name, inside, result = match.groups()
                if int(result) >= 0:
                    self._follow(name, inside, int(result))

    def _do(self, change: Change | Synced) -> None:
        self.done.append(change)
        if not isinstance(change, Synced):
            self.disk.apply(change)

    def _follow(self, name: str, inside: str, result: int) -> None:
        words = inside.split(", ")
        handle = self._open.get(_number(words[0]))
        if name in ("open", "openat", "creat"):
            self._opened(result, words[1:] if name == "openat" else words, words[0] if name == "openat" else "", name)
        elif name in ("rename", "renameat", "renameat2", "link", "linkat"):
            at = name.removesuffix("2").endswith("at")
            source = self._path(words[1], words[0]) if at else self._path(words[0])
            target = self._path(words[3], words[2]) if at else self._path(words[1])
            self._moved(source, target, keeps=name.startswith("link"))
        elif name in ("symlink", "symlinkat"):
            target = self._path(words[2], words[1]) if name == "symlinkat" else self._path(words[1])
            self._made(target, _bytes(words[0]))
        elif name in ("mkdir", "mkdirat"):
            self._made(self._path(words[1], words[0]) if name == "mkdirat" else self._path(words[0]), None)
        elif name in ("unlink", "unlinkat", "rmdir"):
            path = self._path(words[1], words[0]) if name == "unlinkat" else self._path(words[0])
            if path is not None:
                folder, last = self.disk.place(path)
                self._do(Named(((folder, last, self.disk.folders[folder][last], False),)))
        elif handle is not None:
            self._handled(name, handle, inside, words, result)

    def _path(self, word: str, folder: str = "") -> str | None:
        """The path in the recorded folder; None for another place."""
        base = re.search(r"<([^>]*)>", folder)
        start = _decoded(base[1]).decode() if base else self.cwd
        path = os.path.normpath(os.path.join(start, os.fsdecode(_bytes(word))))
        if path == self.root:
            return ""
        return path.removeprefix(f"{self.root}/") if path.startswith(f"{self.root}/") else None

    def _opened(self, descriptor: int, words: list[str], folder: str, name: str) -> None:
        self._open.pop(descriptor, None)
        path = self._path(words[0], folder)
        if path is None:
            return
        flags = words[1].split("|") if name != "creat" else ["O_CREAT", "O_TRUNC"]
        assert "O_TMPFILE" not in flags
        inode = self.disk.find(path)
        if inode is None:
            inode = self._made(path, b"")
        elif "O_TRUNC" in flags and self.disk.files[inode]:
            self._do(Sized(inode, 0))
        self._open[descriptor] = Handle(inode, appends="O_APPEND" in flags)

    def _made(self, path: str | None, content: bytes | None) -> int:
        if path is None:
            return -1
        folder, name = self.disk.place(path)
        inode = self.disk.new(content)
        self._do(Named(((folder, name, inode, True),)))
        return inode

    def _moved(self, source: str | None, target: str | None, keeps: bool) -> None:
        if source is None and target is None:
            return
        assert source is not None, f"{target} comes from another place"
        assert target is not None, f"{source} goes to another place"
        (folder, name), (to, new) = self.disk.place(source), self.disk.place(target)
        inode = self.disk.folders[folder][name]
        gone = () if keeps else ((folder, name, inode, False),)
        self._do(Named(((to, new, inode, True), *gone)))

    def _handled(self, name: str, handle: Handle, inside: str, words: list[str], result: int) -> None:
        """A call for an open file or folder."""
        if name == "close":
            del self._open[_number(words[0])]
        elif name in ("dup", "dup2", "dup3") or (name == "fcntl" and "F_DUPFD" in words[1]):
            self._open[result] = handle
        elif name == "lseek":
            handle.at = result
        elif name in ("write", "writev", "pwrite64", "pwritev"):
            alone = name.startswith("p")
            at = int(words[-1]) if alone else len(self.disk.files[handle.inode]) if handle.appends else handle.at
            data = b"".join(_decoded(text) for text in TEXT.findall(inside))[:result]
            assert len(data) == result, f"strace has cut off {name}"
            self._do(Written(handle.inode, at, data))
            if not alone:
                handle.at = at + result
        elif name == "ftruncate":
            self._do(Sized(handle.inode, int(words[1])))
        elif name in ("fsync", "fdatasync"):
            self._do(Synced(handle.inode))
        elif name != "fcntl":
            raise NotImplementedError(f"{name}({inside[:200]})")


def _number(word: str) -> int:
    match = re.match(r"-?\d+", word)
    return int(match[0]) if match else -1


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _bytes(word: str) -> bytes:
    match = TEXT.fullmatch(word.rstrip())  # strace sets a blank before where it says that a call is unfinished
    assert match, word
    return _decoded(match[1])


def record(zygote: Zygote, root: Path, **case: Any) -> Recording:
    """Run a case (see `Zygote.start`) that writes in the folder `root`, which must end well, and say what it did."""
    log, before = zygote.folder / "calls", snapshot(root)
    running = zygote.start(stopped=True, seconds=100, **case)
    running.trace("-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(log))
    ended = running.wait()
    assert ended.code == 0, ended.err
    recording = Recording(root, before, zygote.folder)
    recording.read(log.read_text("ascii"))
    assert recording.disk.tree(recording.disk.folders, {}) == snapshot(root), "the calls do not make what stands there"
    return recording
