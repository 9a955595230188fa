"""Beam search, and beams that are sampled instead of ranked: several texts kept in parallel, the best one given.

As transformers does it: scores are summed log-probabilities, a finished text is worth its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Beams:
    """The beams of one text. Row i of its scores continues `running[i]`."""

    def __init__(self, count: int, end_id: int, generator: torch.Generator, greedy: bool) -> None:
        self.count, self.end_id, self.generator, self.greedy = count, end_id, generator, greedy
        self.running: list[list[int]] = [[]]
        self.sums = torch.zeros(1)
        self.finished: list[tuple[float, list[int]]] = []

    def advance(self, scores: Tensor, ids: Tensor) -> list[int]:
        """Choose the next tokens from candidates, their log-probabilities and ids (rows, K); returns the row each beam
        came from."""
        flat = (scores.cpu() + self.sums[:, None]).flatten()
        tokens_of = ids.flatten().tolist()
        allowed = int(torch.isfinite(flat).sum())
        wanted = min(2 * self.count, allowed)
        if self.greedy:
            chosen = flat.topk(wanted).indices
        else:  # without replacement by the Gumbel trick: unlikely tokens do not round to zero, as they do in a softmax
            noise = -torch.empty_like(flat, dtype=torch.float64).exponential_(generator=self.generator).log()
            chosen = (flat + noise).topk(wanted).indices
            chosen = chosen[flat[chosen].argsort(descending=True, stable=True)]
        parents: list[int] = []
        running: list[list[int]] = []
        sums: list[Tensor] = []
        for rank, place in enumerate(chosen.tolist()):
            row, token = place // ids.shape[1], tokens_of[place]
            tokens = [*self.running[row], token]
            if token == self.end_id:
                if rank < self.count:
                    self.finished.append((float(flat[place]) / len(tokens), tokens))
            elif len(running) < self.count:
                parents.append(row)
                running.append(tokens)
                sums.append(flat[place])
        self.running, self.sums = running, torch.stack(sums) if sums else torch.empty(0)
        self.finished = sorted(self.finished, key=lambda f: -f[0])[: self.count]
        return parents

    @property
    def done(self) -> bool:
        """Whether no running beam can still beat the finished ones."""
        if not self.running:
            return True
        if len(self.finished) < self.count:
            return False
        best = float(self.sums.max()) / len(self.running[0])
        return best <= self.finished[-1][0]

    def best(self) -> list[int]:
        """The tokens of the best text, its end included where it has one."""
        candidates = list(self.finished)
        if not self.done:
            candidates += [
                (float(total) / len(tokens), tokens) for total, tokens in zip(self.sums, self.running, strict=True)
            ]
        return max(candidates, key=lambda f: f[0])[1]
