"""Which states a disk may be in after the power has failed, made of the calls of the system that strace has recorded.

It works as ALICE (Pillai and others, OSDI 2014) and CrashMonkey (Mohan and others, OSDI 2018) do: the calls of a
process that writes are recorded once. Then, for the moment after each call, states of the disk are made that the calls
allow, and the program opens each of them.

What the model takes for certain:
- The content of a file is on the disk when its fsync or fdatasync has returned, and no sooner. It is still as it was at
  the fsync before, or each write since then is there, or zeros stand in its place, or only the first half is there, or
  what was written first is missing alone.
- The names in a folder (a file or folder that was made, renamed or deleted) are on the disk when an fsync of that
  folder has returned, and no sooner: an fsync of the file is not enough, although ext4 then keeps its name, too.
- Until then each change of a name may be on the disk or not, whatever the others are, and whatever the contents are. A
  rename is one change: the new name replaces what had it, and the old name goes.
- What is on the disk stays there: no sector breaks, and the drive does not lie about an fsync.

ext4, xfs and btrfs keep more than that, each something else. Of all combinations are tried: each change alone missing,
each alone there, all missing; for the contents the same, for each kind of loss; and some pairs that are drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hard.recorded import Change, Disk, Named, Recording, Sized, Synced, Tree, Written, renamed, rewritten, snapshot

from arasuji.folders import MANIFEST

LOSSES = ("lost", "zeroed", "halved", "begun")
DRAWN = 6
"""So many pairs are drawn for each moment."""


@dataclass(frozen=True)
class State:
    """What a disk may hold after the power has failed."""

    tree: Tree
    done: bool
    """Whether the process had ended before."""
    how: str

    def __str__(self) -> str:
        return self.how

    def lay(self, root: Path) -> None:
        """Make it in an empty folder."""
        root.mkdir(parents=True)
        for path, content in sorted(self.tree.items()):
            if content is None:
                (root / path).mkdir()
            else:
                (root / path).write_bytes(content)


def states_of(recording: Recording, draw: random.Random) -> list[State]:
    """The states in which the disk may be after a loss of power at any moment; each once."""
    disk, waiting, found = Disk.of(recording.before), list[Change](), list[State]()
    disk.files |= {inode: b"" for inode in recording.disk.files if inode not in disk.files}
    disk.folders |= {inode: {} for inode in recording.disk.folders if inode not in disk.folders}
    seen: set[tuple[bool, int]] = set()
    for moment, change in enumerate([*recording.done, None]):
        for how, tree in _after_a_loss(disk, waiting, draw):
            key = change is None, hash(frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                found.append(State(tree, change is None, f"after {moment} of {len(recording.done)} calls, {how}"))
        if isinstance(change, Synced):
            waiting = _kept(disk, waiting, change.inode)
        elif change is not None:
            waiting.append(change)
    return found


def _kept(disk: Disk, waiting: list[Change], inode: int) -> list[Change]:
    """Put on the disk what belongs to a file or a folder, and return what still waits."""
    if inode in disk.files:
        due = [not isinstance(change, Named) and change.inode == inode for change in waiting]
    else:
        due = [isinstance(change, Named) and any(place[0] == inode for place in change.changes) for change in waiting]
        names: set[tuple[int, str]] = set()  # a change of the same name before it cannot come later
        for number in reversed(range(len(waiting))):
            if isinstance(change := waiting[number], Named):
                places = {place[:2] for place in change.changes}
                due[number] = due[number] or bool(places & names)
                names |= places if due[number] else set()
    for change, is_due in zip(waiting, due, strict=True):
        if is_due:
            disk.apply(change)
    return [change for change, is_due in zip(waiting, due, strict=True) if not is_due]


def _after_a_loss(disk: Disk, waiting: list[Change], draw: random.Random) -> Iterator[tuple[str, Tree]]:
    """The states of a disk on which some of the changes are that `waiting` holds."""
    names = [change for change in waiting if isinstance(change, Named)]
    written: dict[int, list[Written | Sized]] = {}
    for change in waiting:
        if not isinstance(change, Named):
            written.setdefault(change.inode, []).append(change)
    everything = frozenset(range(len(names)))
    missing = [
        frozenset(),
        everything,
        *(frozenset({one}) for one in everything),
        *(everything - {one} for one in everything),
    ]
    kept = {inode: _rewritten_all(disk.files[inode], changes) for inode, changes in written.items()}
    damaged = {(inode, loss): _after(disk.files[inode], written[inode], loss) for inode in written for loss in LOSSES}

    def contents(*fates: tuple[int, str]) -> dict[int, bytes]:
        return kept | {inode: damaged[inode, loss] for inode, loss in fates}

    all_lost = contents(*((inode, "lost") for inode in written))
    fates = [("whole", kept), ("lost", all_lost)]
    ways = [(left, *fate) for left in missing for fate in fates]
    for loss in LOSSES:
        ways.append((frozenset(), f"{loss}: all", contents(*((inode, loss) for inode in written))))
        ways += [(frozenset(), f"{loss}: {inode}", contents((inode, loss))) for inode in written]
        ways += [
            (frozenset(), f"lost: all, {loss}: {inode}", all_lost | {inode: damaged[inode, loss]}) for inode in written
        ]
        ways += [(frozenset(), f"lost: all but {inode}", all_lost | {inode: kept[inode]}) for inode in written]
    for _ in range(DRAWN):
        left = frozenset(draw.sample(sorted(everything), min(2, len(everything))))
        two = [(inode, draw.choice(LOSSES)) for inode in draw.sample(sorted(written), min(2, len(written)))]
        ways.append((left, f"drawn: {two}", contents(*two)))
    for left, fate, files in ways:
        folders = {inode: dict(entries) for inode, entries in disk.folders.items()}
        for number, change in enumerate(names):
            if number not in left:
                renamed(folders, change)
        yield f"{len(names)} names, without {sorted(left)}, contents {fate}", disk.tree(folders, files)


def _rewritten_all(content: bytes, changes: list[Written | Sized]) -> bytes:
    for change in changes:
        content = rewritten(content, change)
    return content


def _after(content: bytes, changes: list[Written | Sized], loss: str) -> bytes:
    """The content of a file whose changes since its last fsync were hit by a loss."""
    if loss == "lost":
        return content
    total = sum(len(change.data) for change in changes if isinstance(change, Written))
    left = total // 2
    for number, change in enumerate(changes):
        if isinstance(change, Written):
            data = change.data
            if loss == "zeroed" or (loss == "begun" and number == 0):
                data = bytes(len(data))
            elif loss == "halved":
                data, left = data[:left], left - len(data[:left])
                if not data:
                    continue
            change = Written(change.inode, change.at, data)
        content = rewritten(content, change)
    return content


def damaged(root: Path, draw: random.Random) -> list[State]:
    """What a folder is after the disk has damaged one of its files; a manifest is not changed, but lost."""
    tree = snapshot(root)
    found = []
    for path, content in sorted(tree.items()):
        if not content:
            continue
        ways = {"zeroed": bytes(len(content)), "halved": content[: len(content) // 2], "lost": b""}
        if not path.endswith(MANIFEST):
            at = draw.randrange(len(content))
            ways["flipped"] = content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
        found += [State(tree | {path: left}, False, f"{path} {way}") for way, left in ways.items()]
        found.append(State({name: kept for name, kept in tree.items() if name != path}, False, f"{path} missing"))
    return found
