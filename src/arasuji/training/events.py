"""What a run tells while it goes: how it starts, its steps and validations, and the samples that it writes."""

from __future__ import annotations

from dataclasses import dataclass

from arasuji.generation.decode import Sample
from arasuji.training.loop import Event
from arasuji.training.plan import Plan


@dataclass(frozen=True)
class Started:
    """What is about to be trained; the first event of a run."""

    name: str
    parameters: int
    trained: int
    documents: int
    truncated: int
    plan: Plan
    resumed_step: int
    base: str
    precision: str
    lower_bound: bool
    """The tokenizer throws something away that is not charged, so the scores are lower bounds."""
    notes: tuple[str, ...] = ()
    """What is not as it was when the run that is continued was started."""


@dataclass(frozen=True)
class Watched:
    """Samples written at a validation."""

    step: int
    samples: list[Sample]


TrainEvent = Started | Watched | Event
