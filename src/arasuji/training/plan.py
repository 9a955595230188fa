"""Plans a run: its steps and validations, from the time that a few of its steps take before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from arasuji import processes
from arasuji.config import TrainConfig
from arasuji.device import generators, peak_memory, set_generators, wait
from arasuji.models import LanguageModel, Loss
from arasuji.runs import as_written
from arasuji.training.batches import Batch, Epoch
from arasuji.training.gradient import add_gradient, add_processes
from arasuji.training.optimizers import optimizers_of, update

PROBES = 4
"""A step is timed with this many batches, spread over an epoch, and before with the first one, as a warm-up."""
RESERVE = 0.06
"""This share of `--max-minutes` is kept for checkpoints and for what the timed batches do not show."""
FEWEST_VALIDATIONS = 4
"""Every run has at least this many validations, unless they take more than `VALIDATION_SHARE` of its time."""
VALIDATION_SHARE = 0.25
"""The validations of a short run may take at most this share of its time."""


@dataclass(frozen=True)
class Plan:
    """What a run will do. It is made before the first step, and kept when the run is resumed."""

    steps: int
    """The number of optimizer steps of the whole run."""
    steps_per_epoch: int
    validate_every: int
    """The number of steps between two validations."""
    tokens_per_epoch: int
    """The number of targets of an epoch whose loss counts."""
    seconds: float
    """The estimated time of the whole run, with its validations and the saving of best models."""
    memory: int
    """The estimated peak in bytes: that of the timed steps."""


def make_plan(
    model: LanguageModel,
    batches: Epoch,
    config: TrainConfig,
    bf16: bool,
    validation_seconds: float,
    max_steps: int | None,
    deadline: float | None,
    loss_of: Callable[[Batch], Loss] | None = None,
) -> Plan:
    """Make a plan from the time that a few steps take. Their learning rate is zero, and their optimizer is forgotten:
    the model and the generators stay as they were.

    `validation_seconds` is what one validation is expected to take, with the saving of the model as the best so far;
    `deadline`, on the clock of `time.monotonic`, is when the run must be over.
    """
    per_epoch = -(-len(batches) // config.accumulate)
    tokens = batches.counted
    token_seconds, update_seconds = _seconds(model, batches, config, bf16, loss_of)
    steps = per_epoch * config.epochs
    if max_steps is not None:
        steps = min(steps, max_steps)
    step_seconds = token_seconds * tokens / per_epoch + update_seconds
    every = -(-per_epoch // config.validations)
    few = FEWEST_VALIDATIONS
    if deadline is not None:
        room = (deadline - time.monotonic()) * (1 - RESERVE)
        possible = int(room / (step_seconds + validation_seconds / every))
        if possible < few * every:
            few = max(1, min(few, int(VALIDATION_SHARE * room / validation_seconds)))
            possible = int((room - few * validation_seconds) / step_seconds)
        steps = max(1, min(steps, possible))
    every = max(1, min(every, -(-steps // few)))
    seconds = steps * step_seconds + -(-steps // every) * validation_seconds
    return _main_says(Plan(steps, per_epoch, every, tokens, seconds, peak_memory()))


def _main_says(plan: Plan) -> Plan:
    """The plan of the first process, since every process has measured other times."""
    said = processes.main_says(list(asdict(plan).values()))
    return Plan(**{name: type(n)(s) for (name, n), s in zip(asdict(plan).items(), said, strict=True)})


def kept_plan(last: Path, state: dict[str, Any], batches: Epoch, config: TrainConfig, max_steps: int | None) -> Plan:
    """The plan of a checkpoint, with another number of steps where `max_steps` is given. Raises RunError where the plan
    does not fit the run."""
    per_epoch = -(-len(batches) // config.accumulate)
    with as_written(last):
        plan = TypeAdapter(Plan).validate_python(state["plan"])
        if plan.steps_per_epoch != per_epoch or not 1 <= plan.steps <= per_epoch * config.epochs:
            raise ValueError(f"its plan is not one of {config.epochs:,} epochs of {per_epoch:,} steps")
        if plan.validate_every < 1:
            raise ValueError("its plan validates every 0 steps")
    return plan if max_steps is None else replace(plan, steps=min(max_steps, per_epoch * config.epochs))


def _seconds(
    model: LanguageModel,
    batches: Epoch,
    config: TrainConfig,
    bf16: bool,
    loss_of: Callable[[Batch], Loss] | None,
) -> tuple[float, float]:
    """The seconds that each counted target takes, forwards and backwards, and those of a step's update: a tenth of a
    step or more, where few targets move many parameters, and with Muon."""
    before = generators()
    optimizers = optimizers_of(model, config, bf16)
    # A model without optimizers learns in `forward`, and must forget these batches.
    learned = {} if optimizers else {n: t.clone() for n, t in model.learned().items()}
    chosen = [batches[i * len(batches) // PROBES] for i in range(min(PROBES, len(batches)))]
    reading = updating = counted = 0.0
    for probe, batch in enumerate([chosen[0], *chosen]):
        began = time.perf_counter()
        nats, _ = add_gradient(model, batch, batch.counted, bf16, loss_of=loss_of)
        add_processes(model, nats)
        wait()
        read = time.perf_counter()
        update(model, optimizers, config, rate=0.0)  # takes as long as any, and moves nothing
        wait()
        if probe:
            reading += read - began
            updating += time.perf_counter() - read
            counted += batch.counted
    if not optimizers:
        model.restore(learned)
    set_generators(before)
    return reading / max(1, counted), updating / len(chosen)
