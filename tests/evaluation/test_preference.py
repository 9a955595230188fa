"""Shares and strengths of votes: against an independent likelihood, a published example and Jeffreys' interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from arasuji.evaluation.preference import Estimate, Vote, davidson, differ, share, strengths

PUDDING = """1 2 19 22 16, 1 3 16 19 12, 2 3 19 19 10, 1 4 18 23 13, 2 4 23 19 9, 3 4 19 20 15, 1 5 13 19 18,
2 5 16 20 12, 3 5 16 15 17, 4 5 17 14 16, 1 6 18 21 12, 2 6 22 20 12, 3 6 13 18 10, 4 6 14 19 18, 5 6 11 21 12"""
"""Six brands of chocolate pudding, from Davidson (1970): brands i and j, how often i was preferred, j, and neither."""


def votes_of(first: str, second: str, scores: list[float]) -> list[Vote]:
    """A vote for each score, each on a prompt of its own."""
    return [Vote(first, second, score, f"{first}{second}{i}") for i, score in enumerate(scores)]


def pudding() -> tuple[np.ndarray, np.ndarray]:
    wins, ties = np.zeros((2, 6, 6))
    for row in PUDDING.split(","):
        i, j, over, under, tie = map(int, row.split())
        wins[i - 1, j - 1], wins[j - 1, i - 1], ties[i - 1, j - 1], ties[j - 1, i - 1] = over, under, tie, tie
    return wins, ties


def by_hand(wins: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The logarithms of the strengths, and that of the tie parameter, by a likelihood written as in the paper."""
    count = len(wins)

    def unlikely(parameters: np.ndarray) -> float:
        strength, tie = np.exp(parameters[:count]), np.exp(parameters[count])
        found = parameters[:count].sum() ** 2  # their mean is 0
        for i in range(count):
            for j in range(i):
                both = tie * np.sqrt(strength[i] * strength[j])
                whole = strength[i] + strength[j] + both
                found -= wins[i, j] * np.log(strength[i] / whole) + wins[j, i] * np.log(strength[j] / whole)
                found -= ties[i, j] * np.log(both / whole)
        return found

    return optimize.minimize(unlikely, np.zeros(count + 1), method="BFGS", options={"gtol": 1e-8}).x


def test_strengths_are_those_of_the_published_example():
    theta, eta = davidson(*pudding())
    published = [0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024]  # as the vignette of PlackettLuce (R) has them
    assert np.exp(theta) / np.exp(theta).sum() == pytest.approx(published, abs=5e-5)
    assert np.exp(eta) == pytest.approx(0.7468, abs=5e-5)


@pytest.mark.parametrize("seed", range(4))
def test_strengths_are_those_of_the_greatest_likelihood_each_of_a_batch_alone(seed):
    rng = np.random.default_rng(seed)
    wins = rng.integers(1, 9, size=(3, 4, 4)) * (1 - np.eye(4))
    ties = rng.integers(0, 5, size=(3, 4, 4))
    ties = (ties + ties.swapaxes(1, 2)) * (1 - np.eye(4))
    theta, eta = davidson(wins, ties)
    for i in range(3):
        assert [*theta[i], eta[i]] == pytest.approx(by_hand(wins[i], ties[i]), abs=1e-4)


def test_votes_give_the_strengths_of_their_counts():
    wins, ties = pudding()
    votes = []
    for i in range(6):
        for j in range(i):
            scores = [1.0] * int(wins[i, j]) + [0.0] * int(wins[j, i]) + [0.5] * int(ties[i, j])
            votes += votes_of(str(i), str(j), scores)
    expected = 1 / (1 + np.exp(-davidson(wins, ties)[0]))
    found = strengths(votes)
    assert [found[str(i)].share for i in range(6)] == pytest.approx(expected, abs=2e-3)  # half votes are imagined
    assert all(0 < one.low < one.share < one.high < 1 for one in found.values())


@pytest.mark.parametrize(("won", "lost"), [(26, 17), (12, 0), (0, 12), (1, 9), (5, 5)])
def test_the_interval_of_a_share_is_that_of_jeffreys_where_each_prompt_has_one_vote(won, lost):
    found = share([1.0] * won + [0.0] * lost, [1.0] * (won + lost), [str(i) for i in range(won + lost)])
    low, high = stats.beta.ppf([0.025, 0.975], won + 0.5, lost + 0.5)
    assert found.share == won / (won + lost)
    assert found.low == pytest.approx(low if won else 0, abs=0.01)
    assert found.high == pytest.approx(high if lost else 1, abs=0.01)


def test_votes_on_one_prompt_say_less_than_as_many_on_different_ones():
    scores = [1.0] * 30 + [0.0] * 10
    apart = share(scores, [1.0] * 40, [str(i) for i in range(40)])
    together = share(scores, [1.0] * 40, [str(i // 5) for i in range(40)])
    assert together.share == apart.share
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    votes = votes_of("a", "b", scores)
    grouped = [vote._replace(prompt=str(i // 5)) for i, vote in enumerate(votes)]
    one, other = strengths(votes)["a"], strengths(grouped)["a"]
    assert other.high - other.low > 1.5 * (one.high - one.low)


def test_one_prompt_says_nothing_about_others():
    found = share([1.0, 0.0], [1.0, 1.0], ["same", "same"])
    assert (found.low, found.high) == (0, 1)
    found = strengths([Vote("a", "b", 1.0, "same")] * 12)["a"]
    assert (found.low, found.high) == (0, 1)


def test_who_always_wins_has_a_finite_strength_and_an_interval_with_width():
    found = strengths(votes_of("a", "b", [1.0] * 12) + votes_of("b", "c", [1.0] * 12))
    assert found["a"].share > found["b"].share > found["c"].share
    for one in found.values():
        assert 0 < one.low < one.share < one.high < 1
        assert one.high - one.low > 0.1


def test_votes_that_are_all_ties_and_contestants_who_never_met_are_no_trouble():
    assert strengths(votes_of("a", "b", [0.5] * 12))["a"].share == pytest.approx(0.5)
    found = strengths(votes_of("a", "b", [1.0] * 12) + votes_of("c", "d", [1.0] * 12))
    assert found["a"].share == pytest.approx(found["c"].share)
    assert found["a"].low < 0.5  # for nothing says how they compare


def test_winning_and_losing_are_treated_alike():
    votes = votes_of("a", "b", [1.0] * 14 + [0.0] * 6 + [0.5] * 4) + votes_of("b", "c", [1.0] * 9 + [0.0] * 8)
    found, mirrored = strengths(votes), strengths([vote._replace(score=1 - vote.score) for vote in votes])
    for name, one in found.items():
        assert one.share == pytest.approx(1 - mirrored[name].share)
        assert one.low == pytest.approx(1 - mirrored[name].high, abs=0.02)


def test_what_cannot_be_said_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        share([], [], [])
    with pytest.raises(ValueError, match="two"):
        strengths([])


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ((0.60, 0.45, 0.74), (0.69, 0.63, 0.75), 0),
        ((0.50, 0.45, 0.55), (0.69, 0.63, 0.75), -1),
        ((0.80, 0.76, 0.84), (0.69, 0.63, 0.75), 1),
    ],
)
def test_shares_differ_where_the_interval_of_their_difference_leaves_0_out(one, other, verdict):
    assert differ(Estimate(*one), Estimate(*other)) == verdict
    assert differ(Estimate(*other), Estimate(*one)) == -verdict


def test_newcombes_interval_is_the_one_of_his_example():
    """Newcombe (1998), case (a): 56 of 70 and 48 of 80 differ by 0.2, 0.0524 to 0.3339, by Wilson's intervals."""
    wilson = [stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in ((56, 70), (48, 80))]
    one, other = (Estimate(s, ends.low, ends.high) for s, ends in zip((0.8, 0.6), wilson, strict=True))
    assert differ(one, other) == 1
    moved = Estimate(other.share + 0.053, other.low + 0.053, other.high + 0.053)  # by more than the lower end
    assert differ(one, moved) == 0
    moved = Estimate(other.share + 0.052, other.low + 0.052, other.high + 0.052)
    assert differ(one, moved) == 1
