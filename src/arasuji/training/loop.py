"""The training loop: a generator of events. The caller decides how to show them.

Pads do not count. The loss of a step is the summed loss of its batches divided by the number of their targets, so
every target has the same weight. A checkpoint has all that changes: what the model has learnt, the optimizer, the
position in the data, and the generators and the carried state of every process. A resumed run equals
an undisturbed one bit for bit on the same machine, versions and number of threads.

Where several processes train together, each reads some rows of every batch, and has the whole model, or a part of
every weight (`sharding`). Gradients are summed before a step, so that all take the same step. Decisions that depend on
a clock or a signal are taken together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from arasuji import processes
from arasuji.config import TrainConfig
from arasuji.device import generators, here, set_generators
from arasuji.errors import RunError, TrainingError
from arasuji.models import LanguageModel, Loss
from arasuji.training.batches import Batch
from arasuji.training.gradient import add_gradient, add_processes
from arasuji.training.optimizers import optimizers_of, restore_states, states_of, update
from arasuji.training.plan import Plan
from arasuji.training.schedule import Plateau, learning_rate
from arasuji.training.sharding import part_of, whole_in_main

CHECKPOINT_SHARE = 0.03
"""Checkpoints may take at most this share of the training time."""
FIRST_CHECKPOINT_SECONDS = 15.0
"""The first checkpoint, whose cost is not known yet, is written after this many seconds of training."""


@dataclass
class Progress:
    """The position of a run; all of it is in the checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    """The number of batches of this epoch that were read."""
    tokens: int = 0
    seconds: float = 0.0
    epoch_nats: float = 0.0
    epoch_tokens: int = 0
    best_step: int = 0
    best_bits: float = math.inf
    waited: int = 0
    """The number of validations since the best one."""
    plateau: Plateau = field(default_factory=Plateau)


@dataclass(frozen=True)
class Stepped:
    """A step was taken. `loss` is in nats per token."""

    step: int
    tokens: int
    seconds: float
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Validated:
    """The validation split was scored; `best` says whether it is the best score so far."""

    step: int
    bits_per_byte: float
    best: bool
    at_stop: bool
    """Whether this is an extra validation, because the run was stopped."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    step: int


@dataclass(frozen=True)
class Stopped:
    """The run ended, and why."""

    reason: str
    progress: Progress


Event = Stepped | Validated | Saved | Stopped


@dataclass
class Trainer:
    """The loop and all that it needs. Files and texts are the caller's, who gives functions for them."""

    model: LanguageModel
    config: TrainConfig
    plan: Plan
    bf16: bool
    """Whether matrix products are taken in bfloat16 (autocast)."""
    epoch_batches: Callable[[int], Sequence[Batch]]
    validate: Callable[[], float]
    """Bits per byte of the validation split."""
    save_best: Callable[[Progress], None]
    save_last: Callable[[dict[str, Tensor], dict[str, Any]], None]
    should_stop: Callable[[], str]
    """Called after every step: a reason ends the run, an empty string does not."""
    loss_of: Callable[[Batch], Loss] | None = None
    """Gives the loss of each part of a batch; None is the cross-entropy."""

    def __post_init__(self) -> None:
        self.progress = Progress()
        self.state: Any = None
        self.optimizers = optimizers_of(self.model, self.config, self.bf16)

    def checkpoint(self) -> Saved:
        """Write a checkpoint."""
        began = time.perf_counter()
        tensors = {f"model.{n}": t for n, t in self.model.learned().items()}
        own = {f"generator.{n}": t for n, t in generators().items()}
        if self.state is not None:
            own |= {f"state.{n}": t for n, t in self.state.tensors().items()}
        tensors |= {n: processes.gathered(t) for n, t in own.items()}
        states = [state for optimizer in self.optimizers for state in states_of(optimizer)]
        for i, values in enumerate(states):
            tensors |= {f"optimizer.{i}.{name}": t for name, t in values.items()}
        tensors = {n: whole_in_main(t) for n, t in tensors.items()}
        self.save_last(tensors, {"progress": asdict(self.progress), "plan": asdict(self.plan)})
        self._checkpointed = time.perf_counter()
        self._checkpoint_cost = self._checkpointed - began
        return Saved(self.progress.step)

    def restore(self, tensors: dict[str, Tensor], saved: dict[str, Any]) -> None:
        """Continue from a checkpoint."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

        def own(prefix: str) -> dict[str, Tensor]:
            return {
                n: t[processes.index()].clone() for n, t in part(prefix).items()
            }  # a view would give torch a wrong generator state

        before = len(tensors["generator.cpu"])
        if before != processes.count() and self.config.layout == "stream":
            raise RunError(
                f"the run was started with {before} process{'es' * (before > 1)}, and each carries a state of its own "
                "through the stream: continue it with as many"
            )
        self.progress = TypeAdapter(Progress).validate_python(saved["progress"])
        counts = [value for value in asdict(self.progress).values() if isinstance(value, int | float)]
        if not all(count >= 0 for count in counts) or not max(self.progress.step, self.progress.epoch) < 2**40:
            raise ValueError("its position is none that a run comes to")
        learned = self.model.learned()
        self.model.restore({n: part_of(t, learned.get(n, t)) for n, t in part("model.").items()})
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in part("optimizer.").items():
            index, _, key = name.partition(".")
            states.setdefault(int(index), {})[key] = tensor
        restore_states(self.optimizers, states)
        carried = {n: t.to(here()) for n, t in own("state.").items()}
        self.state = self.model.state_from(carried) if carried else None
        if self.state is not None:  # as many rows as a batch has
            rows = self.config.batch_size // processes.count()
            self.state = self.state.select(torch.arange(rows, device=here()))
        if processes.index() < before:  # others than then go on with the generators that they have
            set_generators(own("generator."))

    def run(self) -> Iterator[Event]:
        """Train to the plan's last step, or until early stopping or `should_stop` gives a reason."""
        at = self.progress
        self.model.train()
        self._began = time.perf_counter() - at.seconds
        self._checkpointed, self._checkpoint_cost = time.perf_counter(), 0.0
        reason = self._reason()
        while not reason:
            for event in self._epoch():
                yield event
                if at.step % self.plan.validate_every == 0 or at.step == self.plan.steps:
                    yield self._validate()
                reason = self._reason() or self.should_stop()
                if reason:
                    break
                if self._checkpoint_is_due():
                    yield self.checkpoint()
        yield self.checkpoint()
        if at.step % self.plan.validate_every and at.step != self.plan.steps:
            # Stopped between validations: the model is scored so that it can be used, but the checkpoint does
            # not know of it, so that a resumed run still equals an undisturbed one.
            yield self._validate(at_stop=True)
        yield Stopped(reason, at)

    def _reason(self) -> str:
        """Why the run ends without being stopped; empty where it does not end yet."""
        at, patience = self.progress, self.config.patience
        if at.step >= self.plan.steps:
            return "the plan's last step"
        return f"no better score in {at.waited} validations" if patience and at.waited >= patience else ""

    def _checkpoint_is_due(self) -> bool:
        if self.config.checkpoint_steps:
            return self.progress.step % self.config.checkpoint_steps == 0
        wait = max(FIRST_CHECKPOINT_SECONDS, self._checkpoint_cost / CHECKPOINT_SHARE)
        due = time.perf_counter() - self._checkpointed >= wait
        return processes.any_of(due and processes.is_main())  # only the first process has measured a checkpoint

    def _epoch(self) -> Iterator[Event]:
        """Take the remaining steps of this epoch, then move the position to the next epoch."""
        at = self.progress
        batches = self.epoch_batches(at.epoch)
        while at.batch < len(batches):
            yield self._step(batches[at.batch : at.batch + self.config.accumulate])
        at.plateau.epoch(at.epoch_nats / max(1, at.epoch_tokens), self.config.plateau_patience)
        at.epoch, at.batch, at.epoch_nats, at.epoch_tokens = at.epoch + 1, 0, 0.0, 0
        self.state = None

    def _step(self, batches: Sequence[Batch]) -> Stepped:
        """Take one optimizer step over one or more batches."""
        at = self.progress
        rate = learning_rate(self.config, at.step, self.plan.steps, at.plateau)
        counted = sum(batch.counted for batch in batches)
        summed = torch.zeros((), device=here())
        for batch in batches:
            carried = self.state.detach() if batch.continues and self.state is not None else None
            nats, state = add_gradient(self.model, batch, counted, self.bf16, carried, self.loss_of)
            self.state = state.detach() if state is not None and self.config.layout == "stream" else None
            summed += nats
        add_processes(self.model, summed)
        total = float(summed)
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is not a number at step {at.step + 1}: lower learning_rate, or set clip_norm"
            )
        update(self.model, self.optimizers, self.config, rate)
        at.step += 1
        at.seconds = time.perf_counter() - self._began
        at.batch += len(batches)
        at.tokens += counted
        at.epoch_nats += total
        at.epoch_tokens += counted
        return Stepped(at.step, at.tokens, at.seconds, total / max(1, counted), rate)

    def _validate(self, at_stop: bool = False) -> Validated:
        at = self.progress
        bits = self.validate()
        if not math.isfinite(bits):
            raise TrainingError(f"the validation score is not a number at step {at.step}: lower learning_rate")
        best = bits < at.best_bits
        if best:
            at.best_bits, at.best_step, at.waited = bits, at.step, 0
            self.save_best(at)
        else:
            at.waited += 1
        return Validated(at.step, bits, best, at_stop)
