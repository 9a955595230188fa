"""The calls of the system by which a scenario changes a disk, and runs in which one of them ends or fails."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hard.forked import Ended, Zygote
from hard.scenarios import Place

WRITING = (
    *("openat", "creat", "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat"),
    *("copy_file_range", "sendfile", "chmod", "fchmod"),
)
OPENS_TO_WRITE = re.compile(r"O_(WRONLY|RDWR|CREAT)")
FEW = 12
"""So many calls are tried where not all are."""
STARTED = re.compile(r"(\d+) +(\w+)\((.*)")


@dataclass(frozen=True)
class Call:
    """One call that changes the folder of its scenario."""

    scenario: str
    name: str
    number: int
    """Which of the calls of this name in its thread it is: so strace counts them."""
    text: str
    of_folder: bool
    """Whether it syncs a folder."""

    def injection(self, fault: str, more: str = "") -> str:
        """The option of strace by which this call ends in a fault; with `more="+"` all later ones of its name, too."""
        return f"inject={self.name}:{fault}:when={self.number}{more}"

    def __str__(self) -> str:
        return f"{self.scenario}: {self.name} {self.number}: {self.text}"


class Stage:
    """Where scenarios take place, one after the other: each begins with the same old state, made once."""

    def __init__(self, zygote: Zygote, base: Path, runs: Path, corpus: Path) -> None:
        self.zygote, self.base, self.runs, self.corpus = zygote, base, runs, corpus
        self.log = base / "strace"
        self._calls: dict[str, list[Call]] = {}

    def place(self, scenario: str) -> Place:
        return Place(self.base / scenario / "now", self.runs, self.corpus)

    def set(self, scenario: str) -> None:
        """Make the old state, from nothing or from a copy."""
        place, kept = self.place(scenario), self.kept(scenario)
        shutil.rmtree(place.folder, ignore_errors=True)
        if not kept.exists():
            place.folder.mkdir(parents=True)
            self.run("begin", scenario)
            place.folder.rename(kept)
        shutil.copytree(kept, place.folder, symlinks=True)

    def kept(self, scenario: str) -> Path:
        """The old state."""
        return self.base / scenario / "kept"

    def run(self, function: str, scenario: str) -> Ended:
        """Run a step that has to succeed."""
        arguments = self.place(scenario).arguments(scenario)
        ended = self.zygote.run(function=f"hard.scenarios:{function}", arguments=arguments, seconds=60)
        assert ended.code == 0, f"{function} of {scenario!r}: {ended}"
        return ended

    def traced(self, scenario: str, *options: str, **limits: Any) -> Ended:
        """Write, followed by strace."""
        arguments = self.place(scenario).arguments(scenario)
        running = self.zygote.start(
            function="hard.scenarios:write", arguments=arguments, stopped=True, seconds=20, **limits
        )
        running.trace("-y", "-o", str(self.log), *options)
        return running.wait()

    def calls(self, scenario: str) -> list[Call]:
        """All calls that change the folder when the scenario writes, in their order."""
        if scenario not in self._calls:
            self.set(scenario)
            ended = self.traced(scenario, "-e", f"trace={','.join(f'?{name}' for name in WRITING)}")
            assert ended.code == 0, f"{scenario}: {ended}"
            self._calls[scenario] = list(self._recorded(scenario))
            assert self._calls[scenario], f"{scenario} writes nothing"
        return self._calls[scenario]

    def all_calls(
        self, cases: Any, scenarios: list[str], which: Callable[[Call], bool] = lambda call: True
    ) -> list[Call]:
        """All calls of the scenarios at share 1; otherwise a few of some scenarios, since it takes seconds to record
        one."""
        every = [call for name in cases(scenarios) for call in self.calls(name) if which(call)]
        return every if cases.share >= 1 else cases.random.sample(every, min(len(every), FEW))

    def _recorded(self, scenario: str) -> Iterator[Call]:
        folder, count, made = str(self.place(scenario).folder), Counter[tuple[str, str]](), set[str]()
        for line in self.log.read_text("utf-8", "replace").splitlines():
            if not (started := STARTED.match(line)):
                continue
            thread, name, text = started.groups()
            count[thread, name] += 1
            if folder in text and (name != "openat" or OPENS_TO_WRITE.search(text)):
                if name == "mkdir":
                    made.add(text.split('"')[1])
                path = text.partition("<")[2].partition(">")[0]
                of_folder = name == "fsync" and (path in made or Path(path).is_dir())
                yield Call(scenario, name, count[thread, name], text.replace(folder, "")[:150], of_folder)

    def afterwards(self, scenario: str, function: str = "look_and_go_on") -> tuple[str, str]:
        """What is found, and what is wrong with going on from there: the next process has to write all, and to leave
        nothing of the disturbed one."""
        arguments = self.place(scenario).arguments(scenario)
        ended = self.zygote.run(function=f"hard.scenarios:{function}", arguments=arguments, seconds=60)
        if ended.code or ended.hung:
            return "", f"the next process: {ended.problem() or ended.err[-500:]}"
        found = json.loads(ended.out.rstrip().rpartition("\n")[2])
        if found["found"] not in ("old", "part", "new"):
            return "", f"{found['found']} is found"
        if found["then"] != "new":
            return "", f"after the next write {found['then']} is found"
        return found["found"], f"after the next write {found['litter']} are left" if found["litter"] else ""
