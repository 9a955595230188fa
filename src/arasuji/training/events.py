"""The events of a run: its start, its steps and validations, the samples that it writes, and its end."""

from __future__ import annotations

from dataclasses import dataclass

from arasuji.generation.texts import Sample
from arasuji.teaching.lesson import Taught
from arasuji.training.loop import Event
from arasuji.training.plan import Plan


@dataclass(frozen=True)
class Started:
    """What is about to be trained; the first event of a run, after those of its teacher."""

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
    """Whether the scores are lower bounds, since the tokenizer loses something that is not charged."""
    notes: tuple[str, ...] = ()
    """What has changed since the continued run was started, a sentence each."""


@dataclass(frozen=True)
class Watched:
    """Samples written at a validation."""

    step: int
    samples: list[Sample]


TrainEvent = Taught | Started | Watched | Event
