"""A teacher's distribution over the next token, as a few tokens that are drawn from it.

Over tokens that are drawn from a distribution p, the mean of -ln q(token) is an unbiased estimate of the cross-entropy
of p and q, and so is its gradient (random sampling knowledge distillation; Anshumann et al. 2025, arXiv 2503.16870).
The likeliest tokens alone would teach that no other one ever follows.
"""

from __future__ import annotations

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

    def loss(scores: Tensor, targets: Tensor, places: Tensor) -> Tensor:
        scores = scores.float()
        certain, likely = scores.gather(1, targets[:, None])[:, 0], scores.gather(1, tokens[places]).mean(1)
        return scores.logsumexp(1) - torch.lerp(certain, likely, weight)

    return loss
