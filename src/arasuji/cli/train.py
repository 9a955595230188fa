"""`arasuji train`: an experiment and a corpus to a run folder."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from arasuji import processes
from arasuji.cli.complete import presets
from arasuji.cli.listing import asking
from arasuji.cli.terminal import show_json
from arasuji.speech import say

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
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Train a model; Ctrl-C saves the run and stops it."""
    from arasuji import api
    from arasuji.training.shown import show

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


@contextmanager
def stop_on_signal() -> Iterator[Any]:
    """A function that gives the reason to stop after Ctrl-C or SIGTERM, and else an empty string. A second signal stops
    at once."""
    asked: list[str] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append("stopped by Ctrl-C" if number == signal.SIGINT else "stopped by a signal")
        say("stopping after this step, saving (Ctrl-C again to quit at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0] if asked else ""
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
