"""Shows the events of a search to a person, on stderr: stdout has the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arasuji.speech import duration, say
from arasuji.teaching.lesson import Taught
from arasuji.training.events import Started
from arasuji.training.loop import Stepped
from arasuji.training.shown import ProgressLine
from arasuji.tuning import Search, Trial, TrialEnded, TrialStarted, TuneEvent
from arasuji.tuning.space import Value


def show(events: Iterable[TuneEvent]) -> Search:
    """Show the events of a search, two lines and the progress for each trial, and return the search."""
    line, search = ProgressLine(), None
    for event in events:
        if isinstance(event, TrialStarted):
            line.clear()
            say(f"trial {event.number:>4} of {event.trials}  {settings(event.values)}")
            line = ProgressLine()
        elif isinstance(event, Started):
            line.total = event.plan.steps
            if event.resumed_step:
                line.say(f"            resumed at step {event.resumed_step:,}")
        elif isinstance(event, Taught):
            line.teacher(event)
        elif isinstance(event, Stepped):
            line.step(event)
        elif isinstance(event, TrialEnded):
            line.say(f"            {outcome(event.trial)}{', the best so far' * event.best}")
        elif isinstance(event, Search):
            search = event
    line.clear()
    assert search is not None  # the last event of every search
    return search


def settings(values: Mapping[str, Value]) -> str:
    """The values of a trial, as `--set` takes them."""
    return "  ".join(f"{key}={value}" for key, value in values.items())


def outcome(trial: Trial) -> str:
    """How a trial ended."""
    if trial.state == "failed" or trial.bits_per_byte is None:
        return f"failed: {trial.reason}"
    took = f"{trial.steps:,} steps in {duration(trial.seconds)}"
    return f"{trial.bits_per_byte:.4f} bits per byte, {took}{', pruned' * (trial.state == 'pruned')}"
