"""The gradient of a batch, which is read in parts that fit into memory and shared among the processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arasuji import processes
from arasuji.device import autocast, here, tokens_at_once
from arasuji.models import LanguageModel, Loss
from arasuji.training.batches import Batch


def add_gradient(
    model: LanguageModel,
    batch: Batch,
    counted: int,
    bf16: bool,
    state: Any = None,
    loss_of: Callable[[Batch], Loss] | None = None,
) -> tuple[Tensor, Any]:
    """Add the gradient of this process's rows of the batch to the gradients of the parameters.

    The losses are divided by `counted`, the number of targets of the whole step. With `bf16`, matrix products are in
    bfloat16 (autocast). `loss_of` gives the loss of each part of the batch; without it that is the cross-entropy.

    Returns the sum of the losses of these rows, a scalar on the model's device, and the state after them, which is
    valid for streams only.
    """
    device = here()
    total, after = torch.zeros((), device=device), None
    shared = processes.count() > 1 and _trained(model)
    rows = batch.share(processes.index(), processes.count()) if shared else batch
    frozen = any(not parameter.requires_grad for parameter in model.parameters())
    for part in rows.parts(tokens_at_once(frozen)):
        own_loss = loss_of(part) if loss_of else None
        with autocast(bf16):
            losses, after = model(part.ids.to(device), part.targets.to(device), state, own_loss)
        loss = losses.sum()
        if loss.requires_grad:  # a model without parameters learns by reading
            (loss / max(1, counted)).backward()
        total += loss.detach()
    return total, after


def add_processes(model: LanguageModel, nats: Tensor) -> None:
    """Replace the gradients and `nats`, the loss, by their sums over all processes. A model without parameters has read
    every row in each process, so nothing is summed."""
    if processes.count() == 1 or not (trained := _trained(model)):
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
