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
"""Validations of a run that is shorter than an epoch."""


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
    validation_tokens: int,
    max_steps: int | None,
    seconds_left: float | None,
) -> Plan:
    """Time a few batches, forwards and backwards, without a step; the model and the generators stay as they were."""
    per_epoch = -(-len(batches) // config.accumulate)
    tokens = sum(batch.counted for batch in batches)
    trained, scored = _token_seconds(model, batches, accelerator)
    steps = per_epoch * config.epochs
    if max_steps is not None:
        steps = min(steps, max_steps)
    step_seconds = trained * tokens / per_epoch
    validation_seconds = scored * validation_tokens
    every = max(1, per_epoch // config.validations)
    if seconds_left is not None:
        room = seconds_left * (1 - RESERVE)
        with_every = step_seconds + validation_seconds / every
        by_rate = int(room / with_every)
        by_few = int((room - FEWEST_VALIDATIONS * validation_seconds) / step_seconds)
        steps = max(1, min(steps, by_rate if by_rate >= FEWEST_VALIDATIONS * every else by_few))
    every = max(1, min(every, -(-steps // FEWEST_VALIDATIONS)))
    seconds = steps * step_seconds + -(-steps // every) * validation_seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Plan(steps, per_epoch, every, tokens, seconds, peak)


def _token_seconds(model: LanguageModel, batches: Sequence[Batch], accelerator: Accelerator) -> tuple[float, float]:
    """Seconds a counted token in training and in scoring."""
    generators, learned = torch.get_rng_state(), {n: t.clone() for n, t in model.learned().items()}
    chosen = [batches[i * len(batches) // PROBES] for i in range(min(PROBES, len(batches)))]
    trained = scored = counted = 0.0
    for probe, batch in enumerate([chosen[0], *chosen]):
        ids, targets = batch.ids.to(accelerator.device), batch.targets.to(accelerator.device)
        began = time.perf_counter()
        with accelerator.autocast():
            nats, _ = model(ids, targets)
        if nats.requires_grad:
            accelerator.backward(nats.sum() / batch.counted)
        middle = time.perf_counter()
        with torch.inference_mode(), accelerator.autocast():
            model(ids, targets)
        if probe:
            trained += middle - began
            scored += time.perf_counter() - middle
            counted += batch.counted
        for parameter in model.parameters():
            parameter.grad = None
    model.restore(learned)
    torch.set_rng_state(generators)
    return trained / counted, scored / counted
