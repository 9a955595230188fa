"""The uncertainty of a ratio of sums, of a ranking and of shares, by the bootstrap (Efron 1979) of their groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def area_interval(
    scores: Sequence[float], truth: Sequence[bool], groups: Sequence[str], seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of the area under the ROC curve, where groups are drawn with replacement: the share of the
    pairs of a true and a false one in which the true one has the higher score, ties being halves (Mann and Whitney
    1947). None of fewer than two groups."""
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    score, true = np.array(scores), np.array(truth)
    member = np.zeros((len(score), len(names)))
    member[np.arange(len(score)), place] = 1
    above = np.sign(score[true][:, None] - score[~true]) / 2 + 0.5
    wins, of_true, of_false = member[true].T @ above @ member[~true], member[true].sum(0), member[~true].sum(0)
    areas = []
    for times in _times(len(names), seed):
        won, pairs = np.einsum("ng,ng->n", times @ wins, times), (times @ of_true) * (times @ of_false)
        areas.append(np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan))
    low, high = np.nanquantile(np.concatenate(areas), [0.025, 0.975])
    return float(low), float(high)


def shares(found: np.ndarray, held: np.ndarray, groups: Sequence[str], seed: int = 0) -> np.ndarray | None:
    """Of each of G kinds the share that is found among the texts that hold it, and among the others, in `RESAMPLES`
    resamples by group: (2, RESAMPLES, G), NaN where none is there. found (N, G) bool, held (N, G) bool. None of fewer
    than two groups."""
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.zeros((4, len(names), found.shape[1]))
    for total, part in zip(sums, (found & held, held, found & ~held, ~held), strict=True):
        np.add.at(total, place, part)
    parts = []
    for times in _times(len(names), seed):
        found_held, of_held, found_others, of_others = times @ sums
        parts.append([_share(found_held, of_held), _share(found_others, of_others)])
    return np.concatenate(parts, axis=1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _times(count: int, seed: int) -> Iterator[np.ndarray]:
    """How many times each of `count` groups is drawn, (500, count) at once, `RESAMPLES` in all."""
    rng = np.random.default_rng(seed)
    for _ in range(0, RESAMPLES, 500):
        yield rng.multinomial(count, np.full(count, 1 / count), size=500)
