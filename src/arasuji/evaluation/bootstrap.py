"""The uncertainty of a ratio of sums, by the bootstrap (Efron 1979) of its groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000


def interval(
    above: Sequence[float], below: Sequence[float], groups: Sequence[str], seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of sum(above) / sum(below), where groups are drawn with replacement: groups, not documents, are
    independent. None of fewer than two groups: one group says nothing about others."""
    names = sorted(set(groups))
    if len(names) < 2:
        return None
    place = {name: i for i, name in enumerate(names)}
    sums = np.zeros((2, len(names)))
    for group, a, b in zip(groups, above, below, strict=True):
        sums[:, place[group]] += a, b
    rng = np.random.default_rng(seed)
    ratios = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 500):
        drawn = rng.integers(len(names), size=(500, len(names)))
        a, b = sums[:, drawn].sum(2)
        ratios[start : start + 500] = a / np.maximum(b, 1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
