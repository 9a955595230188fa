"""Shows the events of a run to a person: below the cell of a notebook, elsewhere on stderr, as stdout has the results
alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from arasuji import notebook, processes
from arasuji.speech import duration, say, size, tell
from arasuji.teaching.lesson import Taught
from arasuji.training.events import Started, TrainEvent, Watched
from arasuji.training.loop import Progress, Stepped, Stopped, Validated

PLAIN_SECONDS = 15.0
"""Where stderr is no terminal, a line of progress is shown at most this often."""


def show(events: Iterable[TrainEvent]) -> Progress | None:
    """Show the events of a run, and return its progress at the end."""
    progress: Progress | None = None
    line = ProgressLine()
    for event in events:
        if isinstance(event, Started):
            line.clear()
            _introduce(event, line.say)
            line.total = event.plan.steps
        elif isinstance(event, Taught):
            line.teacher(event)
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


def _introduce(run: Started, say: Callable[[str], None]) -> None:
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
    for note in run.notes:
        say(f"note       {note}")


class ProgressLine:
    """The progress of a run: one line that is rewritten in a notebook and on a terminal, elsewhere a new line every
    `PLAIN_SECONDS`."""

    def __init__(self) -> None:
        self.panel = notebook.Panel() if notebook.is_here() and processes.is_main() else None
        self.live = processes.is_main() and sys.stderr is not None and sys.stderr.isatty()
        self.shown = 0.0
        self.total = self.first_tokens = 0
        self.first_step = 0
        self.first_seconds: float | None = None
        self.loss = 0.0
        self.stage: tuple[Taught, float] | None = None
        """The first event of what a teacher is doing, and when it came."""
        if self.panel:
            self.panel.show("measuring a few steps ...")
        elif self.live:
            tell("\rmeasuring a few steps ...")

    def step(self, event: Stepped) -> None:
        if self.first_seconds is None:
            self.first_seconds, self.first_tokens, self.first_step = event.seconds, event.tokens, event.step
            self.loss = event.loss
            return  # a rate needs two steps
        self.loss = 0.95 * self.loss + 0.05 * event.loss
        spent = max(1e-6, event.seconds - self.first_seconds)
        rate = (event.tokens - self.first_tokens) / spent
        left = spent / (event.step - self.first_step) * (self.total - event.step)
        self._show(
            f"step {event.step:>6,} of {self.total:,}  loss {self.loss:.3f}  "
            f"{rate:,.0f} tokens/s  {duration(left)} left",
            event.step / max(1, self.total),
        )

    def teacher(self, event: Taught) -> None:
        if self.stage is None or self.stage[0].stage != event.stage:
            self.shown = time.monotonic()
            self.stage = event, self.shown
            return  # a rate needs two events, some time apart
        first, began = self.stage
        left = (time.monotonic() - began) * max(0.0, 1 - event.share) / max(1e-6, event.share - first.share)
        said = f"teacher {event.stage}  {event.texts:,} texts, {event.share:.0%}  {duration(left)} left"
        self._show(said, event.share)

    def _show(self, text: str, share: float) -> None:
        if self.panel:
            self.panel.show(text, share)
            return
        now = time.monotonic()
        if now - self.shown < (0.2 if self.live else PLAIN_SECONDS):
            return
        self.shown = now
        if self.live:
            tell(f"\r\x1b[2K{text[:79]}")
        else:
            say(text)

    def clear(self) -> None:
        if self.live:
            tell("\r\x1b[2K")

    def say(self, text: str) -> None:
        if self.panel:
            self.panel.say(text)
            return
        self.clear()
        say(text)
