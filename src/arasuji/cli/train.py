"""`arasuji train`: an experiment and a corpus to a run folder."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from typer import Argument, Option

from arasuji import processes
from arasuji.cli.complete import presets
from arasuji.cli.listing import asking
from arasuji.cli.terminal import show_json
from arasuji.errors import OptionError, RunError
from arasuji.speech import duration, say, size

A_YEAR = 366 * 24 * 60
"""The largest value of `--max-minutes`: a year."""


def train(
    preset: Annotated[
        str,
        Argument(
            metavar="PRESET|FILE.toml",
            help="A preset (see `arasuji presets`), or an experiment in a TOML file",
            autocompletion=presets,
        ),
    ],
    corpus: Annotated[Path, Option(help="A corpus folder that `prepare` has written")],
    out: Annotated[Path, Option(help="The run folder to write")],
    set_: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change an option; may be given several times")
    ] = None,
    max_minutes: Annotated[
        float | None,
        Option(
            min=0.05,
            max=A_YEAR,
            help="Plan the run so that it ends within this number of minutes, not counting a teacher's work",
        ),
    ] = None,
    max_steps: Annotated[
        int | None, Option(min=1, help="Plan the run so that it ends after this number of steps")
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Continue a run that was stopped, or start it if it does not exist")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Measure a few steps, say what the training would take, and train nothing")
    ] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Train a model; Ctrl-C saves the run and stops it."""
    from arasuji import api
    from arasuji.training.shown import show

    if dry_run:
        if resume:
            raise OptionError("--dry-run is for a new run, and a resumed one keeps its plan: leave one of both out")
        _show_plan(preset, corpus, out, set_ or [], max_minutes, max_steps, json)
        return
    with stop_on_signal() as stop:
        at = show(api.train_events(preset, corpus, out, max_minutes, max_steps, resume, stop, settings=set_ or []))
    if at is None or not processes.is_main():
        return
    if json:
        seconds = round(at.seconds, 1)
        best = {"step": at.best_step, "bits_per_byte": at.best_bits} if at.best_step else None
        show_json({"run": str(out), "steps": at.step, "tokens": at.tokens, "seconds": seconds, "best": best})
        return
    if not at.best_step:
        print("next       the same command with --resume")
        return
    run = shlex.quote(str(out))
    print(f"best       {at.best_bits:.3f} bits per byte on the validation split, at step {at.best_step:,}")
    print(f"next       {asking(out)}")
    print(f"           arasuji evaluate {run}")


def _show_plan(
    preset: str,
    corpus: Path,
    out: Path,
    settings: list[str],
    max_minutes: float | None,
    max_steps: int | None,
    json: bool,
) -> None:
    """Begin a training in a temporary folder, and end it before its first step."""
    from arasuji import api
    from arasuji.training.shown import show

    if teacher := api.experiment(preset, settings).teaching.teacher:
        raise OptionError(f"--dry-run: how long it takes is not known before the teacher {teacher} has done its work")
    if not api.RunDirectory(out).is_new:
        raise RunError(f"{out} exists already: say another --out")
    free = _free_memory()
    with TemporaryDirectory(prefix="arasuji-") as folder:
        events = api.train_events(preset, corpus, Path(folder) / "run", max_minutes, max_steps, settings=settings)
        started = next(event for event in events if isinstance(event, api.Started))
        del events  # releases the folder
    show([started])
    plan = started.plan
    if not processes.is_main():
        return
    if json:
        epochs = round(plan.steps / plan.steps_per_epoch, 2)
        found = {"steps": plan.steps, "epochs": epochs, "validate_every": plan.validate_every}
        show_json({**found, "seconds": round(plan.seconds, 1), "memory": plan.memory, "free": free})
        return
    print(f"time       about {duration(plan.seconds)}")
    print(f"memory     {size(plan.memory)}, and {size(free)} are free")
    print("next       the same command without --dry-run")


def _free_memory() -> int:
    """The bytes that are free: of the accelerator where there is one, else of this machine."""
    import psutil
    import torch

    from arasuji import device

    if device.here().type == "cuda":
        return torch.cuda.mem_get_info()[0]
    return int(psutil.virtual_memory().available)


@contextmanager
def stop_on_signal() -> Iterator[Any]:
    """A function that gives the reason to stop after Ctrl-C, SIGTERM or SIGHUP (a terminal was closed), and else an
    empty string. A second signal stops at once. A signal that is ignored (`nohup`) stays so."""
    asked: list[str] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append("stopped by Ctrl-C" if number == signal.SIGINT else "stopped by a signal")
        say("stopping after this step, saving (Ctrl-C again to quit at once)")

    kinds = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in kinds if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield lambda: asked[0] if asked else ""
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
