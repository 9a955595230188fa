"""The learning rate of each step, a pure function of the step, the number of steps and the state of the plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arasuji.config import TrainConfig

THRESHOLD = 1e-4
"""A loss that falls by less than this share counts as standing still, as in torch's ReduceLROnPlateau."""


@dataclass
class Plateau:
    """Halves the rate when the epoch's training loss stands still; the same rule as torch's ReduceLROnPlateau."""

    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def epoch(self, loss: float, patience: int) -> None:
        """Note the mean training loss of an epoch."""
        if loss < self.best * (1 - THRESHOLD):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > patience:
            self.factor, self.waited = self.factor / 2, 0


def learning_rate(config: TrainConfig, step: int, total: int, plateau: Plateau) -> float:
    """The learning rate of step `step`, counted from 0, of `total` steps."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    if config.schedule == "linear":
        return config.learning_rate * max(0.0, 1 - done)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if config.schedule == "plateau":
        return config.learning_rate * plateau.factor
    return config.learning_rate
