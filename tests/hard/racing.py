"""What a process does in the tests of two at once, where that is no verb of the command line."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import torch

import arasuji.cli
from arasuji import api
from arasuji.corpus import SPLITS, Corpus
from arasuji.errors import ArasujiError
from arasuji.locks import alone
from arasuji.runs import RunDirectory
from arasuji.studio.jobs import Jobs
from arasuji.studio.rooms.desk import Desk, Kept
from arasuji.studio.rooms.trainings import is_locked, trainings


def digest(folder: str) -> str:
    """A hash over all records of a corpus."""
    opened = Corpus.load(folder)
    return hashlib.sha256(repr([[*opened.split(name)] for name in SPLITS]).encode()).hexdigest()


def opens(folder: str, seconds: float) -> None:
    """Open a corpus again and again, and print the hashes that were found."""
    found, until = set(), time.monotonic() + seconds
    while time.monotonic() < until:
        found.add(digest(folder))
    print(*sorted(found), sep="\n")


def prepares(sources: str, out: str, seconds: float) -> None:
    """Prepare a corpus again and again, of one source and of the other."""
    number, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        number += 1
        api.prepare(Path(sources) / f"{'ab'[number % 2]}.jsonl", out)


def reads(run: str, seconds: float) -> None:
    """Open the best model of a run again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for precision in (torch.float32, torch.int8):
            RunDirectory(Path(run)).load_best(precision)


def lists(runs: str, seconds: float) -> None:
    """List the trainings of a folder as the studio does, and print the states that a run was found in."""
    found, until = set(), time.monotonic() + seconds
    while time.monotonic() < until:
        found |= {training["state"] for training in trainings(Path(runs), Jobs(Path(runs)))}
        for _ in range(50):
            is_locked(Path(runs) / "run")
    print(*sorted(found), sep="\n")


def holds(run: str, without: str = "") -> None:
    """Hold the lock of a run, and be killed."""
    if without:
        _without_locks(without)
    with alone(Path(run) / ".lock", Path(run), "training"):
        os.kill(os.getpid(), signal.SIGKILL)


def without_locks(error: str, *verb: str) -> None:
    """A verb of the command line on a file system whose locks fail with this error."""
    _without_locks(error)
    sys.argv = ["arasuji", *verb]
    arasuji.cli.main()


def _without_locks(error: str) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    fcntl.flock = flock


def keeps(place: str, name: str, count: int) -> None:
    """Keep texts on a desk, change each, and delete every second one."""
    desk = Desk(Path(place))
    for number in range(count):
        kept = desk.keep(Kept(text=f"{name} {number}"))
        if number % 2:
            desk.delete(kept["id"])


def starts(runs: str) -> None:
    """Start a job, as a studio's server does."""
    try:
        print(Jobs(Path(runs)).start("one", "rules", [], {}).pid)
    except ArasujiError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def chooses(run: str, top_k: int, times: int) -> None:
    """Write the sampling settings of a run as `sweep` does, and read them again: those of one process or the other."""
    directory = RunDirectory(Path(run))
    for _ in range(times):
        directory.save_sampling({"top_k": top_k, "temperature": top_k / 100}, "chosen by a sweep " * top_k)
        found = directory.sampling
        assert found.top_k == round(100 * found.temperature), found
