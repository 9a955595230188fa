"""Writes the events of a run into its metrics and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from arasuji import processes
from arasuji.generation.texts import Sample
from arasuji.runs import RunDirectory
from arasuji.training.events import TrainEvent, Watched
from arasuji.training.loop import Event, Stepped, Validated


class RunLog:
    """Writes metrics.jsonl, with one line for each step, and samples.jsonl.

    The line of a step is held back, since a validation that follows belongs into it. It is written before the next
    checkpoint at the latest, so that no step of a checkpoint is missing in the log.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.waiting: dict[str, Any] = {}

    def flush(self) -> None:
        """Write the line that is held back."""
        if self.waiting:
            self.run.log(self.run.metrics, self.waiting)
            self.waiting = {}

    def follow(self, events: Iterator[Event], watch: Callable[[], list[Sample]]) -> Iterator[TrainEvent]:
        """Log the events of the loop and yield them; after a validation, also the samples that `watch` writes."""
        line: dict[str, Any] = {}
        for event in events:
            if isinstance(event, Stepped):
                self.flush()
                self.waiting = line = {**asdict(event), "seconds": round(event.seconds, 3)}
            elif isinstance(event, Validated):
                at_stop = {"at_stop": True} if event.at_stop else {}
                self.waiting = line | {"step": event.step, "bits_per_byte": event.bits_per_byte, **at_stop}
                self.flush()
            yield event
            if isinstance(event, Validated) and processes.is_main():
                samples = watch()
                for sample in samples:
                    content = {"step": event.step, "prompt": sample.prompt, "text": sample.text, **at_stop}
                    self.run.log(self.run.samples, content)
                yield Watched(event.step, samples)
