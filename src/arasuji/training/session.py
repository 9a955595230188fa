"""From an experiment and a corpus to a run folder: open or start the run, plan, train, seal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from arasuji import arguments, device, forks, processes
from arasuji.config import Experiment
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError
from arasuji.runs import RunDirectory
from arasuji.training.events import TrainEvent
from arasuji.training.lock import run_lock
from arasuji.training.loop import Progress, Stopped
from arasuji.training.run import Run
from arasuji.training.tensorboard import logged

STOP_SECONDS = 5.0
"""Training stops this long before `max_minutes` are over, so that the last checkpoint is written in time."""


def train_events(
    chosen: Experiment,
    corpus: Corpus | arguments.AnyPath,
    out: arguments.AnyPath,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    should_stop: Callable[[], str] = lambda: "",
    name: str = "",
    settings: Sequence[str] = (),
    lessons: Path | None = None,
) -> Iterator[TrainEvent]:
    """The same as `api.train_events`, for an experiment in which the `settings` are applied already. Several runs may
    have the `lessons` of their teacher in one folder; without it a run has its own."""
    if (max_minutes is not None and not 0 < max_minutes < math.inf) or (max_steps is not None and max_steps < 1):
        raise OptionError(f"max_minutes {max_minutes}, max_steps {max_steps}: above 0 minutes, and 1 step or more")
    corpus, out = corpus if isinstance(corpus, Corpus) else arguments.path(corpus), arguments.path(out)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; say another --out")
    deadline = time.monotonic() + max_minutes * 60 if max_minutes is not None else None

    def stop() -> str:
        late = deadline is not None and time.monotonic() > deadline - STOP_SECONDS
        asked = should_stop()
        anyone_late, anyone_asked = processes.total([late, bool(asked)])
        if anyone_late:
            return f"{max_minutes:g} minutes are over"
        return (asked or "another process was stopped") if anyone_asked else ""

    def events() -> Iterator[TrainEvent]:
        nonlocal deadline
        run = Run.open(RunDirectory(out), chosen, corpus, resume, name, settings, lessons, max_steps, deadline)
        began = time.monotonic()
        if reason := (yield from run.taught(should_stop)):
            yield Stopped(reason, Progress())
            return
        if deadline is not None:
            deadline += time.monotonic() - began  # the teacher's time is not the student's
        plan = run.plan(max_steps, deadline)
        trainer = run.trainer(plan, stop)
        yield run.started(plan, trainer.progress.step)
        yield from run.log.follow(trainer.run(), run.work.watch)

    forks.check()
    if processes.count() == 1 or not chosen.train.shard:  # else gathered weights come and go, and are to be returned
        device.tune_memory()
    try:
        with run_lock(out):
            yield from logged(events(), out / "tensorboard") if processes.is_main() else events()
    finally:  # the model and the optimizer are freed by now, with the frame of the generator
        device.release()
