"""A teacher's distribution over the next token, as a few tokens that are drawn from it.

Over tokens that are drawn from a distribution p, the mean of -ln q(token) is an unbiased estimate of the cross-entropy
of p and q, and so is its gradient (random sampling knowledge distillation; Anshumann et al. 2025, arXiv 2503.16870).
The likeliest tokens alone would teach that no other one ever follows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji.models import Loss


def drawn(scores: Tensor, offsets: Tensor, count: int) -> Tensor:
    """Draw `count` tokens from each of n distributions, a token once for each time that it is drawn.

    scores (n, V) are logits or log-probabilities, offsets (n,) are uniform in [0, 1). One number chooses all tokens of
    a row: they stand at equal distances in its cumulative distribution (systematic sampling; Madow 1949). Each alone is
    drawn as it should be in the mean, and a token of probability p is drawn p * `count` times, rounded up or down.

    Returns (n, count) int64.
    """
    sums = scores.float().softmax(-1).cumsum(-1)
    # Counted from 1 down: at 0 itself there may be a token that is impossible.
    points = (1 + torch.arange(count, device=scores.device) - offsets[:, None].to(scores.device)) / count
    return torch.searchsorted(sums, points * sums[:, -1:])


def taught(tokens: Tensor, weight: float) -> Loss:
    """The loss of targets that a teacher stands beside: (1 - weight) times the cross-entropy, and `weight` times the
    estimated cross-entropy with the teacher.

    tokens (places, count) int64 are the drawn tokens of every place in the batch.
    """

    shares = torch.full((1 + tokens.shape[1],), weight / tokens.shape[1], device=tokens.device)
    shares[0] = 1 - weight

    def loss(scores: Tensor, targets: Tensor, places: Tensor) -> Tensor:
        found: Tensor = _CrossEntropies.apply(scores, torch.cat([targets[:, None], tokens[places]], 1), shares)
        return found

    return loss


class _CrossEntropies(torch.autograd.Function):
    """Over k, the sum of shares[k] * -ln softmax(scores)[tokens[:, k]]; scores (n, V), tokens (n, k) int64, and shares
    (k,) that add up to 1. Returns (n,) float32.

    The gradient is the probabilities less the shares, and takes their place at once: what torch keeps and computes for
    these sums would cost a tenth of a step.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, tokens: Tensor, shares: Tensor) -> Tensor:
        gradient = torch.softmax(scores, -1)
        likely = gradient.gather(1, tokens).float().clamp(min=torch.finfo(torch.float32).tiny)
        ctx.save_for_backward(gradient.scatter_add_(1, tokens, -shares.to(gradient).expand(tokens.shape)))
        return -(likely.log() * shares).sum(1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0][:, None].to(gradient), None, None
