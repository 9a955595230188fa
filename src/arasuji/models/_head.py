"""The output layer and its loss, in chunks, so that the scores of a whole batch are never held at once."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from arasuji.models import IGNORED, Loss
from arasuji.models._layers import product_type

CHUNK_SCORES = 2**26
"""The most scores (tokens x vocabulary) that are held at a time in training: 128 MB in bfloat16, 256 MB in float32.
Without a gradient a quarter of them is held, since each is then held twice in float32."""
CHUNK_ROWS = 2**13
"""The number of rows of the output layer's gradient that are computed at a time."""


def token_losses(hidden: Tensor, targets: Tensor, loss: Loss, vocabulary_size: int) -> Tensor:
    """The loss of each position, with the output layer computed only where a target is counted.

    hidden (B, T, D), targets (B, T) int64. `loss` takes rows of hidden (n, D) where a `Loss` takes scores: it computes
    the scores itself, `vocabulary_size` of them a row. Returns (B, T) float32, 0 where ignored. In training, where one
    chunk does not hold all scores, those of each chunk are computed again for the gradient instead of being kept
    (activation checkpointing, Chen et al. 2016).
    """
    counted = targets != IGNORED
    rows, wanted, places = hidden[counted], targets[counted], counted.flatten().nonzero()[:, 0]
    if not len(rows):
        return torch.zeros(targets.shape, device=hidden.device)
    size = max(1, CHUNK_SCORES // (vocabulary_size if torch.is_grad_enabled() else 4 * vocabulary_size))
    losses = []
    for part in zip(rows.split(size), wanted.split(size), places.split(size), strict=True):
        if torch.is_grad_enabled() and len(rows) > size:
            losses.append(checkpoint(loss, *part, use_reentrant=False))
        else:
            losses.append(loss(*part))
    return torch.zeros(targets.shape, device=hidden.device).masked_scatter(counted, torch.cat(losses))


def linear_cross_entropy(rows: Tensor, wanted: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """-ln softmax(rows weight^T + bias)[wanted]; rows (n, D), wanted (n,) int64, weight (V, D), bias (V,). Returns
    (n,) float32."""
    if torch.is_grad_enabled():
        loss: Tensor = _LinearCrossEntropy.apply(rows, weight, bias, wanted)
        return loss
    return cross_entropy(F.linear(rows, weight, bias), wanted)


def cross_entropy(scores: Tensor, wanted: Tensor, places: Tensor | None = None) -> Tensor:
    """-ln softmax(scores)[wanted], the `Loss` where no other is given; scores (n, V), wanted (n,) int64. Returns (n,)
    float32."""
    return F.cross_entropy(scores.float(), wanted, reduction="none")


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient of a row's cross-entropy by its scores is its probabilities, less one at the target. It is known as
    soon as the scores are, so it takes their place: they are neither kept in float32 nor computed twice."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, wanted: Tensor) -> Tensor:
        ctx.types = rows.dtype, weight.dtype, None if bias is None else bias.dtype
        kind = product_type(rows)
        rows, weight = rows.to(kind), weight.to(kind)
        scores = F.linear(rows, weight, None if bias is None else bias.to(kind))
        gradient = torch.softmax(scores, -1, out=scores)
        places = torch.arange(len(wanted), device=wanted.device)
        likely = gradient[places, wanted]
        gradient[places, wanted] = likely - 1
        ctx.save_for_backward(rows, weight, gradient)
        return -likely.float().clamp(min=torch.finfo(torch.float32).tiny).log()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, gradient = ctx.saved_tensors
        by_rows, by_weight, by_bias, _ = ctx.needs_input_grad
        rows_type, weight_type, bias_type = ctx.types
        # Scaled to at most 1, since a mean over many tokens is too small for half precision to round well.
        scale = upstream[0].abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        share = (upstream[0] / scale).to(rows.dtype)[:, None]
        return (
            (gradient @ weight).to(rows_type).mul_(upstream[0][:, None]) if by_rows else None,
            _transposed_product(gradient, rows * share, weight_type).mul_(scale) if by_weight else None,
            (share.t() @ gradient)[0].to(bias_type).mul_(scale) if by_bias else None,
            None,
        )


def _transposed_product(gradient: Tensor, rows: Tensor, kind: torch.dtype) -> Tensor:
    """gradient^T rows, (V, D), computed for a part of V at a time: a whole product needs memory for itself in half
    precision and for the transposed matrix, besides its result."""
    product = torch.empty(gradient.shape[1], rows.shape[1], dtype=kind, device=rows.device)
    for part, out in zip(gradient.split(CHUNK_ROWS, 1), product.split(CHUNK_ROWS), strict=True):
        out.copy_(part.t() @ rows)
    return product


class AdaptiveSoftmax(nn.AdaptiveLogSoftmaxWithLoss):
    """Frequent tokens are scored at once, rare ones in clusters that are opened where a target lies in them, with
    ever fewer numbers a token (Grave et al. 2017). Tokens are numbered by falling frequency.

    torch's layer has the weights and the whole distribution (`log_prob`); the loss is ours.
    """

    def cross_entropy(self, rows: Tensor, wanted: Tensor) -> Tensor:
        """-ln p(wanted); rows (n, D), wanted (n,) int64. Returns (n,) float32."""
        starts = self.cutoffs[:-1]
        cluster = torch.bucketize(wanted, torch.tensor(starts, device=wanted.device), right=True)
        first = torch.where(cluster == 0, wanted, starts[0] + cluster - 1)
        loss = linear_cross_entropy(rows, first, self.head.weight, self.head.bias)
        for i, start in enumerate(starts):
            inside = (cluster == i + 1).nonzero().squeeze(1)
            if len(inside):
                projection, output = cast("tuple[nn.Linear, nn.Linear]", self.tail[i])
                more = linear_cross_entropy(projection(rows[inside]), wanted[inside] - start, output.weight)
                loss = loss.index_add(0, inside, more)
        return loss
