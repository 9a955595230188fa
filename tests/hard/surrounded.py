"""Verbs of the command line in surroundings that a process has to make for itself: signals at a moment of its work,
streams that are closed or lead nowhere, a clock that jumps, no home, another umask."""

from __future__ import annotations

import json
import os
import pwd
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import arasuji
from arasuji.cli import main
from arasuji.training import loop

PACKAGE = str(Path(arasuji.__file__).parent)


def verb(words: Sequence[str], kind: str = "", signals: dict[str, int] | None = None, told: str = "") -> None:
    """A verb, which sends itself a signal at moments of its work, `signals`. Moments are numbers: of the batches that
    are read for a gradient (`kind` "batch"), or of the calls of functions of arasuji, from the beginning ("call") or
    from the first step of a training on ("step").

    How many batches there were, and how many moments of the kind, is written into the file `told` at the end, as JSON.
    """
    at = {int(moment): number for moment, number in (signals or {}).items()}
    seen = {"batch": 0, kind: 0}

    def another(of: str) -> None:
        seen[of] += 1
        if of == kind and seen[of] in at:
            os.kill(os.getpid(), at[seen[of]])

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            another(kind)

    loop.add_gradient = _before(lambda: another("batch"), loop.add_gradient)
    if kind == "step":
        loop.Trainer.run = _before(lambda: sys.setprofile(profile), loop.Trainer.run)
    elif kind == "call":
        sys.setprofile(profile)
    sys.argv = ["arasuji", *words]
    try:
        main()
    finally:
        sys.setprofile(None)
        if told:
            Path(told).write_text(json.dumps(seen))


def _before(first: Callable[[], object], function: Callable) -> Callable:
    def both(*arguments, **options):
        first()
        return function(*arguments, **options)

    return both


def closed(words: Sequence[str], descriptors: Sequence[int]) -> None:
    """A verb whose standard streams of these numbers are closed."""
    for descriptor in descriptors:
        os.close(descriptor)
    verb(words)


def unread(words: Sequence[str], kind: str, descriptors: Sequence[int]) -> None:
    """A verb that prints into a pipe whose reader has left ("pipe"), on a terminal that is gone ("terminal"), or on a
    full disk ("full")."""
    if kind == "full":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        other, end = os.pipe() if kind == "pipe" else os.openpty()
        os.close(other)
    for descriptor in descriptors:
        os.dup2(end, descriptor)
        # The old stream may believe that it writes into a file, in which it can seek.
        setattr(sys, {1: "stdout", 2: "stderr"}[descriptor], os.fdopen(descriptor, "w", closefd=False))
    os.close(end)
    verb(words)


def clocked(words: Sequence[str], kind: str) -> None:
    """A verb whose clock goes back by an hour every time that it is read, jumps forward by a day, or stands still. Only
    the clock of the day goes back: the system promises that the others do not."""
    step = {"back": -3600.0, "forward": 86400.0, "still": 0.0}[kind]
    now = time.time()

    def clock() -> float:
        nonlocal now
        now += step
        return now

    time.time = clock
    if kind != "back":
        time.monotonic = time.perf_counter = clock
    verb(words)


def nobody(words: Sequence[str], *removed: str) -> None:
    """A verb of a user who has no name and no home folder, without the variables `removed`."""
    for name in ("HOME", "USER", "LOGNAME", "USERNAME", *removed):
        os.environ.pop(name, None)

    def unknown(*arguments: object) -> None:
        raise KeyError("getpwuid(): uid not found")

    pwd.getpwuid = pwd.getpwnam = unknown
    verb(words)


def masked(words: Sequence[str], mask: int) -> None:
    """A verb whose files and folders get no permissions in the mask."""
    os.umask(mask)
    verb(words)
