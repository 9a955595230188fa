"""What votes on pairs of texts say: how often one is chosen over another, how strong each contestant is, and how sure
that is.

Votes on one prompt are not independent of each other, so all intervals are those of the Bayesian bootstrap (Rubin 1981)
of the prompts: each prompt has a random weight. So has the half of a vote that is imagined for each contestant
beforehand, without which one that has won all its votes would have an infinite strength, and an interval without width.
Where each prompt has one vote and nobody abstains, the interval of a share is that of Jeffreys (Brown, Cai and DasGupta
2001).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from arasuji.evaluation.bootstrap import RESAMPLES

ENOUGH = 10
"""Of fewer votes with a choice nothing is said."""
IMAGINED = 0.5
"""This part of a vote is imagined to be won by each contestant beforehand, as much is lost, spread over all others; and
as much, in all, is tied."""


FITS = 2_000
"""Davidson's model is fitted to this number of resamples."""


class Vote(NamedTuple):
    """A vote on a pair."""

    first: str
    second: str
    score: float
    """1 where the first is chosen, 0 where the second is, 0.5 where neither is."""
    prompt: str
    """The prompt, or the group of prompts that are not independent of each other."""


class Estimate(NamedTuple):
    """A share with its 95 % interval."""

    share: float
    low: float
    high: float


def share(points: Sequence[float], counted: Sequence[float], prompts: Sequence[str], seed: int = 0) -> Estimate:
    """The share sum(points) / sum(counted), where no point is more than what is counted of it. Raises ValueError where
    nothing is counted."""
    if not sum(counted):
        raise ValueError("nothing is counted")
    names, place = np.unique(prompts, return_inverse=True)
    sums = np.zeros((len(names), 2))
    np.add.at(sums, place, np.stack([points, np.subtract(counted, points)], 1))
    drawn = []
    for weights, rng in _resamples(len(names), seed, RESAMPLES):
        won, lost = (weights @ sums + rng.gamma(IMAGINED, size=(len(weights), 2))).T
        drawn.append(won / (won + lost))
    return _estimate(sum(points) / sum(counted), np.concatenate(drawn), len(names))


def strengths(votes: Sequence[Vote], seed: int = 0) -> dict[str, Estimate]:
    """How often each contestant would be chosen over one of average strength, by Davidson's model. Average is the
    geometric mean of all strengths. Raises ValueError of fewer than two contestants."""
    names = sorted({name for vote in votes for name in (vote.first, vote.second)})
    if (count := len(names)) < 2:
        raise ValueError("strengths are those of two contestants or more")
    wins, ties = _counts(votes, names)
    others = 1 - np.eye(count)
    pairs = others.sum() / 2
    found = _over_average(wins.sum(0) + IMAGINED * others / (count - 1), ties.sum(0) + IMAGINED * others / pairs)
    drawn = []
    for weights, rng in _resamples(len(wins), seed, FITS):
        won = rng.gamma(IMAGINED / (count - 1), size=(len(weights), count, count)) * others
        tied = rng.gamma(IMAGINED, size=(len(weights), 1, 1)) * others / pairs
        drawn.append(_over_average(np.tensordot(weights, wins, 1) + won, np.tensordot(weights, ties, 1) + tied))
    all_drawn = np.concatenate(drawn)
    return {name: _estimate(float(found[i]), all_drawn[:, i], len(wins)) for i, name in enumerate(names)}


def _counts(votes: Sequence[Vote], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The wins and the ties of `davidson`, for each prompt: (P, K, K)."""
    prompts = sorted({vote.prompt for vote in votes})
    prompt, number = {name: i for i, name in enumerate(prompts)}, {name: i for i, name in enumerate(names)}
    wins, ties = np.zeros((2, len(prompts), len(names), len(names)))
    for vote in votes:
        at, first, second = prompt[vote.prompt], number[vote.first], number[vote.second]
        if vote.score == 0.5:
            ties[at, first, second] += 1
            ties[at, second, first] += 1
        else:
            winner, loser = (first, second) if vote.score else (second, first)
            wins[at, winner, loser] += 1
    return wins, ties


def _over_average(wins: np.ndarray, ties: np.ndarray) -> np.ndarray:
    theta, _ = davidson(wins, ties)
    over: np.ndarray = 1 / (1 + np.exp(-theta))
    return over


def davidson(wins: np.ndarray, ties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the strengths (..., K), whose mean is 0, and that of the tie parameter (...,), of greatest
    likelihood in Davidson's (1970) extension of the model of Bradley and Terry:

        P(i over j) = p_i / (p_i + p_j + v sqrt(p_i p_j))        P(tie) = v sqrt(p_i p_j) / (the same)

    wins (..., K, K): how often i was chosen over j. ties (..., K, K), symmetric. The logarithm of the likelihood is
    concave in these parameters, and Newton's method finds its greatest value. It has none where some contestants have
    lost, or won, all votes against the others, or where there is no tie.
    """
    count = wins.shape[-1]
    theta, eta = np.zeros(wins.shape[:-1]), np.zeros(wins.shape[:-2])
    votes = wins + np.swapaxes(wins, -1, -2) + ties
    slope, curve = np.zeros((*eta.shape, count + 1)), np.zeros((*eta.shape, count + 1, count + 1))
    for _ in range(200):
        half = (theta[..., :, None] - theta[..., None, :]) / 2
        either = np.exp(half) + np.exp(-half) + np.exp(eta)[..., None, None]
        win, tie = np.exp(half) / either, np.exp(eta)[..., None, None] / either
        score = win + tie / 2  # the score that i is expected to have against j: 1, 0, or 0.5 for a tie
        spread, common = votes * (win + tie / 4 - score**2), votes * tie * (0.5 - score)
        slope[..., :-1] = (wins + ties / 2 - votes * score).sum(-1)
        slope[..., -1] = (ties - votes * tie).sum((-1, -2)) / 2
        curve[..., :-1, :-1] = np.eye(count) * spread.sum(-1)[..., None] - spread + 1 / count  # which keeps the mean
        curve[..., :-1, -1] = curve[..., -1, :-1] = common.sum(-1)
        curve[..., -1, -1] = (votes * tie * (1 - tie)).sum((-1, -2)) / 2
        step = np.clip(np.linalg.solve(curve, slope[..., None])[..., 0], -1, 1)
        theta, eta = theta + step[..., :-1], eta + step[..., -1]
        if np.abs(step).max() < 1e-8:
            break
    return theta - theta.mean(-1, keepdims=True), eta


def differ(one: Estimate, other: Estimate) -> int:
    """1 where a share is greater than another, independent one, -1 where it is smaller, and 0 where the 95 % interval
    of their difference, of Newcombe's (1998) form, holds 0."""
    if one.share - other.share > math.hypot(one.share - one.low, other.high - other.share):
        return 1
    if other.share - one.share > math.hypot(other.share - other.low, one.high - one.share):
        return -1
    return 0


def _resamples(prompts: int, seed: int, count: int) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """Random weights of the prompts, (500, P) at once, `count` in all; and what draws those of imagined votes."""
    rng = np.random.default_rng(seed)
    for _ in range(0, count, 500):
        yield rng.exponential(size=(500, prompts)), rng


def _estimate(found: float, drawn: np.ndarray, prompts: int) -> Estimate:
    if prompts < 2:  # one prompt says nothing about others
        return Estimate(found, 0.0, 1.0)
    low, high = map(float, np.quantile(drawn, [0.025, 0.975]))
    return Estimate(found, min(low, found), max(high, found))  # a share of 0 or 1 is an end, as Brown et al. have it
