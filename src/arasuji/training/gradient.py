"""The gradient of a batch, which is read in parts that fit into memory and shared among the processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from arasuji import processes
from arasuji.device import autocast, here, tokens_at_once
from arasuji.models import LanguageModel, Loss
from arasuji.training.batches import Batch
from arasuji.training.sharding import is_sharded


def add_gradient(
    model: LanguageModel,
    batch: Batch,
    counted: int,
    bf16: bool,
    state: Any = None,
    loss_of: Callable[[Batch], Loss] | None = None,
) -> tuple[Tensor, Any]:
    """Add the gradient of this process's rows of the batch to the gradients of the parameters; of a sharded model, that
    of all rows to the process's parts of the parameters.

    The losses are divided by `counted`, the number of targets of the whole step. With `bf16`, matrix products are in
    bfloat16 (autocast). `loss_of` gives the loss of each part of the batch; without it that is the cross-entropy.

    Returns the sum of the losses of these rows, a scalar on the model's device, and the state after them, which is
    valid for streams only.
    """
    device = here()
    total, after = torch.zeros((), device=device), None
    sharded, count = is_sharded(model), processes.count() if _trained(model) else 1
    scale = (count if sharded else 1) / max(1, counted)  # FSDP takes the mean of all gradients, and their sum is meant
    frozen = any(not parameter.requires_grad for parameter in model.parameters())
    for rows in batch.parts(count * tokens_at_once(frozen)):
        part, own = rows.share(processes.index() % count, count), True
        if sharded and not part.counted:  # all must use the model equally often: read what another process reads
            shares = (rows.share(index, count) for index in range(count))
            part, own = next((share for share in shares if share.counted), rows), False
        if not len(part.ids):
            continue
        own_loss = loss_of(part) if loss_of else None
        with processes.together() if sharded else nullcontext():
            with autocast(bf16):
                losses, after = model(part.ids.to(device), part.targets.to(device), state, own_loss)
            loss = losses.sum() * own
            if loss.requires_grad:  # a model without parameters learns by reading
                (loss * scale).backward()
        total += loss.detach()
    return total, after


def add_processes(model: LanguageModel, nats: Tensor) -> None:
    """Replace the gradients and `nats`, the loss, by their sums over all processes. A model without parameters has read
    every row in each process, so nothing is summed; of a sharded model the gradients are summed already."""
    if processes.count() == 1 or not (trained := _trained(model)):
        return
    if is_sharded(model):
        processes.add_up([nats])
        return
    gradients = []
    found = processes.total([float(parameter.grad is not None) for parameter in trained])
    for parameter, somewhere in zip(trained, found, strict=True):
        if somewhere:
            if parameter.grad is None:  # only rows of other processes have used it
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    processes.add_up([nats, *gradients])


def _trained(model: LanguageModel) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
