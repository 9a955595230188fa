"""The output layer and its loss, in chunks, so that the scores of a whole batch are never held at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_SCORES = 2**25
"""Scores (tokens x vocabulary) held at a time: 128 MB in float32."""


def priced(
    hidden: Tensor, targets: Tensor, head: Callable[[Tensor], Tensor], vocabulary_size: int, ignored: int
) -> Tensor:
    """-ln p(target) for each position, computing the head only where a target is counted.

    hidden (B, T, D), targets (B, T) int64; `head` maps (n, D) to (n, V). Returns (B, T) float32, 0 where
    ignored. In training, where one chunk does not hold all of them, each chunk's scores are computed again for the
    gradient instead of being kept (activation checkpointing, Chen et al. 2016).
    """
    counted = targets != ignored
    rows, wanted = hidden[counted], targets[counted]
    if not len(rows):
        return torch.zeros(targets.shape, device=hidden.device)

    def chunk_nats(rows: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(head(rows).float(), wanted, reduction="none")

    size = max(1, CHUNK_SCORES // vocabulary_size)
    nats = []
    for part, want in zip(rows.split(size), wanted.split(size), strict=True):
        if torch.is_grad_enabled() and len(rows) > size:
            nats.append(checkpoint(chunk_nats, part, want, use_reentrant=False))
        else:
            nats.append(chunk_nats(part, want))
    flat = torch.cat(nats)
    return torch.zeros(targets.shape, device=flat.device).masked_scatter(counted, flat)
