"""`arasuji train`: an experiment and a corpus to a run folder."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from arasuji import processes
from arasuji.cli.complete import presets
from arasuji.cli.shown import raw
from arasuji.cli.terminal import duration, say, show_json, size

if TYPE_CHECKING:
    from arasuji.api import Started, TrainEvent
    from arasuji.config import Experiment

A_YEAR = 366 * 24 * 60
"""The most `--max-minutes`."""
PLAIN_SECONDS = 15.0
"""Time between two lines of progress where stderr is no terminal."""


def train(
    preset: Annotated[str, Argument(metavar="PRESET|FILE.toml", help="See `arasuji presets`", autocompletion=presets)],
    corpus: Annotated[Path, Option(help="A corpus folder, made by prepare")],
    out: Annotated[Path, Option(help="The run folder to write")],
    set_: Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change an option; may repeat")] = None,
    max_minutes: Annotated[
        float | None, Option(min=0.05, max=A_YEAR, help="Plan the run to end within so many minutes")
    ] = None,
    max_steps: Annotated[int | None, Option(min=1, help="Plan the run to end after so many steps")] = None,
    resume: Annotated[bool, Option("--resume", help="Continue a run that was stopped")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Train a model; Ctrl-C saves and stops."""
    from arasuji import api

    chosen = api.experiment(preset, set_ or [])
    if resume and set_:
        _check_unchanged(out, chosen)
    with stop_on_signal() as stop:
        events = api.train(chosen, corpus, out, max_minutes, max_steps, resume, stop, name=Path(preset).stem)
        at = show(events)
    if not processes.is_main():
        return
    best = {"step": at.best_step, "bits_per_byte": at.best_bits}
    if json:
        seconds = round(at.seconds, 1)
        show_json({"run": str(out), "steps": at.step, "tokens": at.tokens, "seconds": seconds, "best": best})
        return
    print(f"best       {at.best_bits:.3f} bits per byte on the validation split, at step {at.best_step:,}")
    print(f"next       arasuji generate {out} 'After years'")
    print(f"           arasuji evaluate {out}")


def _check_unchanged(out: Path, chosen: Experiment) -> None:
    """A run that is resumed keeps its options: refuse to ignore other ones in silence."""
    from arasuji.errors import OptionError
    from arasuji.files import MANIFEST
    from arasuji.runs import RunDirectory

    if not (out / MANIFEST).exists():
        return
    recorded = RunDirectory(out).manifest["experiment"]
    asked = chosen.model_dump() | {"base": recorded["base"]}  # written there as an absolute path
    changed = [f"{s}.{k}" for s in ("tokenizer", "model", "train", "sampling") for k, v in asked[s].items()
               if recorded[s].get(k) != v]  # fmt: skip
    if changed:
        raise OptionError(f"{out} was started with another {changed[0]}; a resumed run keeps its options: drop --set")


@contextmanager
def stop_on_signal() -> Iterator[Any]:
    """A function that tells whether Ctrl-C (or a polite kill) has asked to stop; a second Ctrl-C does not wait."""
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


def show(events: Iterable[TrainEvent]) -> Any:
    """Show a run's events on stderr; returns its progress at the end."""
    from arasuji.api import Started, Stepped, Stopped, Validated, Watched

    progress: Any = None
    line = _ProgressLine()
    for event in events:
        if isinstance(event, Started):
            line.clear()
            _introduce(event)
            line.start(event)
        elif isinstance(event, Stepped):
            line.step(event)
        elif isinstance(event, Validated):
            mark = "  best so far" if event.best else ""
            line.say(f"step {event.step:>6,}  validation {event.bits_per_byte:.3f} bits per byte{mark}")
        elif isinstance(event, Watched):
            for sample in sorted(event.samples, key=lambda s: s.index)[1:2]:
                line.say(f"             {' '.join(sample.text.split())[:66]}")
        elif isinstance(event, Stopped):
            progress = event.progress
            line.say(f"stopped at step {progress.step:,}: {event.reason} ({duration(progress.seconds)})")
    line.clear()
    return progress


def _introduce(run: Started) -> None:
    plan = run.plan
    say(f"model      {run.parameters:,} parameters, {run.trained:,} trained, {run.precision}")
    if run.base:
        say(f"base       {run.base}")
    cut = f", {run.truncated:,} of them cut" if run.truncated else ""
    say(f"data       {run.documents:,} documents{cut}; {plan.tokens_per_epoch:,} tokens an epoch")
    epochs = plan.steps / plan.steps_per_epoch
    say(f"plan       {plan.steps:,} steps ({epochs:.2f} epochs), validation every {plan.validate_every:,}")
    say(f"estimate   {duration(plan.seconds)}, {size(plan.memory)} of memory (measured on a few steps)")
    if run.lower_bound:
        say("note       scores are lower bounds: only `evaluate` charges for case and spacing")
    if run.resumed_step:
        say(f"resumed    at step {run.resumed_step:,}")


class _ProgressLine:
    """One line that rewrites itself on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty() and processes.is_main()
        self.shown = 0.0
        self.total = self.first_tokens = 0
        self.first_seconds: float | None = None
        self.loss = 0.0
        if self.live:
            print("\rmeasuring a few steps ...", end="", file=raw(sys.stderr), flush=True)

    def start(self, run: Started) -> None:
        self.total = run.plan.steps

    def step(self, event: Any) -> None:
        if self.first_seconds is None:
            self.first_seconds, self.first_tokens, self.first_step = event.seconds, event.tokens, event.step
            self.loss = event.loss
            return  # a rate needs two steps
        self.loss = 0.95 * self.loss + 0.05 * event.loss
        now = time.monotonic()
        if now - self.shown < (0.2 if self.live else PLAIN_SECONDS):
            return
        self.shown = now
        spent = max(1e-6, event.seconds - self.first_seconds)
        rate = (event.tokens - self.first_tokens) / spent
        left = spent / (event.step - self.first_step) * (self.total - event.step)
        text = (
            f"step {event.step:>6,} of {self.total:,}  loss {self.loss:.3f}  "
            f"{rate:,.0f} tokens/s  {duration(left)} left"
        )
        if self.live:
            print(f"\r\x1b[2K{text[:79]}", end="", file=raw(sys.stderr), flush=True)
        else:
            say(text)

    def clear(self) -> None:
        if self.live:
            print("\r\x1b[2K", end="", file=raw(sys.stderr), flush=True)

    def say(self, text: str) -> None:
        self.clear()
        say(text)
