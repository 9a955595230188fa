"""What a run will cost, measured on a few of its own batches before it starts."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from arasuji.config import TrainConfig
from arasuji.models import LanguageModel
from arasuji.training.batches import Batch

PROBES = 4
"""Batches that are timed, spread over an epoch; the first one warms up and is not counted."""
RESERVE = 0.06
"""Share of `--max-minutes` kept back for checkpoints and for what the probes did not see."""
FEWEST_VALIDATIONS = 4
"""Validations of a run that is shorter than an epoch, where they cost no more than `VALIDATION_SHARE`."""
VALIDATION_SHARE = 0.25
"""Most of a short run that validations may take."""


@dataclass(frozen=True)
class Plan:
    """What will be done, fixed before the first step and kept when a run is resumed."""

    steps: int
    """Optimizer steps of the whole run."""
    steps_per_epoch: int
    validate_every: int
    """Steps between validations."""
    tokens_per_epoch: int
    """Targets counted."""
    seconds: float
    """Estimate for the whole run, validations included."""
    memory: int
    """Peak memory of this process so far, in bytes: weights, activations and optimizer of the probes."""


def make_plan(
    model: LanguageModel,
    batches: Sequence[Batch],
    config: TrainConfig,
    accelerator: Accelerator,
    validation_seconds: float,
    max_steps: int | None,
    seconds_left: float | None,
) -> Plan:
    """Time a few batches, forwards and backwards, without a step; the model and the generators stay as they were.

    `validation_seconds` is what one validation is expected to take, `seconds_left` what the run may take.
    """
    per_epoch = -(-len(batches) // config.accumulate)
    tokens = sum(batch.counted for batch in batches)
    trained = _token_seconds(model, batches, accelerator)
    steps = per_epoch * config.epochs
    if max_steps is not None:
        steps = min(steps, max_steps)
    step_seconds = trained * tokens / per_epoch
    every = max(1, per_epoch // config.validations)
    few = FEWEST_VALIDATIONS
    if seconds_left is not None:
        room = seconds_left * (1 - RESERVE)
        possible = int(room / (step_seconds + validation_seconds / every))
        if possible < few * every:
            few = max(1, min(few, int(VALIDATION_SHARE * room / validation_seconds)))
            possible = int((room - few * validation_seconds) / step_seconds)
        steps = max(1, min(steps, possible))
    every = max(1, min(every, -(-steps // few)))
    seconds = steps * step_seconds + -(-steps // every) * validation_seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Plan(steps, per_epoch, every, tokens, seconds, peak)


def _token_seconds(model: LanguageModel, batches: Sequence[Batch], accelerator: Accelerator) -> float:
    """Seconds a counted token."""
    generators, learned = torch.get_rng_state(), {n: t.clone() for n, t in model.learned().items()}
    chosen = [batches[i * len(batches) // PROBES] for i in range(min(PROBES, len(batches)))]
    seconds = counted = 0.0
    for probe, batch in enumerate([chosen[0], *chosen]):
        ids, targets = batch.ids.to(accelerator.device), batch.targets.to(accelerator.device)
        began = time.perf_counter()
        with accelerator.autocast():
            nats, _ = model(ids, targets)
        if nats.requires_grad:
            accelerator.backward(nats.sum() / batch.counted)
        if probe:
            seconds += time.perf_counter() - began
            counted += batch.counted
        for parameter in model.parameters():
            parameter.grad = None
    model.restore(learned)
    torch.set_rng_state(generators)
    return seconds / counted
