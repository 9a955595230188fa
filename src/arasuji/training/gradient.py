"""The gradient of a batch, read in parts that fit the machine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji.device import autocast, here, tokens_at_once
from arasuji.models import LanguageModel
from arasuji.training.batches import Batch


def add_gradient(model: LanguageModel, batch: Batch, counted: int, bf16: bool, state: Any = None) -> tuple[Tensor, Any]:
    """Add the gradient of the batch's nats over `counted` to the parameters'; `bf16` takes matrix products in
    bfloat16 (autocast).

    Returns the batch's nats, a number on the model's device, and the state after it, which means something for
    streams only.
    """
    device = here()
    total = torch.zeros((), device=device)
    for part in batch.parts(tokens_at_once()):
        with autocast(bf16):
            nats, after = model(part.ids.to(device), part.targets.to(device), state)
        loss = nats.sum()
        if loss.requires_grad:  # a model without parameters learns by reading
            (loss / counted).backward()
        total += loss.detach()
    return total, after
