"""The gradient of a batch, read in parts that fit the machine, and shared among the processes there are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji import processes
from arasuji.device import autocast, here, tokens_at_once
from arasuji.models import LanguageModel
from arasuji.training.batches import Batch


def add_gradient(model: LanguageModel, batch: Batch, counted: int, bf16: bool, state: Any = None) -> tuple[Tensor, Any]:
    """Add the gradient of this process's rows of the batch, their nats over `counted`, to the parameters'; `bf16`
    takes matrix products in bfloat16 (autocast).

    Returns the rows' nats, a number on the model's device, and the state after them, which means something for
    streams only.
    """
    device = here()
    total, after = torch.zeros((), device=device), None
    rows = batch.share(processes.index(), processes.count()) if _trained(model) else batch
    for part in rows.parts(tokens_at_once()):
        with autocast(bf16):
            nats, after = model(part.ids.to(device), part.targets.to(device), state)
        loss = nats.sum()
        if loss.requires_grad:  # a model without parameters learns by reading
            (loss / counted).backward()
        total += loss.detach()
    return total, after


def add_processes(model: LanguageModel, nats: Tensor) -> None:
    """Put the sums over all processes into the gradients and into the nats. A model without parameters has read every
    row in each process, and needs nothing from the others."""
    trained = _trained(model)
    if processes.count() == 1 or not trained:
        return
    for parameter in trained:
        if parameter.grad is None:  # nothing that counts was in this process's rows
            parameter.grad = torch.zeros_like(parameter)
    processes.add_up([nats, *(parameter.grad for parameter in trained if parameter.grad is not None)])


def _trained(model: LanguageModel) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
