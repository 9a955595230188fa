"""MAUVE says of two sets of texts how alike they are, where its package is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from arasuji.evaluation.mauve import mauve

TEXTS, WIDTH = 120, 24


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(TEXTS, WIDTH)).astype(np.float32)


def moved(by: float) -> np.ndarray:
    """Other texts, that lie this far from the real ones in every direction."""
    return np.random.default_rng(1).normal(by, size=(TEXTS, WIDTH)).astype(np.float32)


def test_the_further_the_texts_are_from_real_ones_the_less_they_are_alike(real, capfd):
    found = [mauve(moved(by), real) for by in (0.0, 0.5, 3.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < 0.05
    assert capfd.readouterr() == ("", "")


def test_it_says_the_same_each_time(real):
    assert mauve(moved(0.3), real) == mauve(moved(0.3), real)


def test_it_is_that_of_the_divergence_frontier_of_the_shares_of_clusters(real):
    """The definition, with clusters that are no question: four places far from each other, and the shares of each set
    counted by hand. Frontier of KL divergences from mixtures, scaled by 5, area under it from both sides."""
    places = 50 * np.eye(4, WIDTH, dtype=np.float32)
    shares = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    noise = np.random.default_rng(2).normal(scale=0.01, size=(2, 80, WIDTH)).astype(np.float32)
    p, q = (np.repeat(places, (80 * share).round().astype(int), 0) + noise[i] for i, share in enumerate(shares))
    curve = [(0.0, np.inf)]
    for weight in np.linspace(1e-6, 1 - 1e-6, 25):
        mixed = weight * shares[0] + (1 - weight) * shares[1]
        curve.append(tuple(float(np.sum(own * np.log(own / mixed))) for own in shares[::-1]))
    curve.append((np.inf, 0.0))
    x, y = np.exp(-5 * np.array(curve)).T
    area = 0.5 * (np.trapezoid(y[np.argsort(x)], np.sort(x)) + np.trapezoid(x[np.argsort(y)], np.sort(y)))
    assert mauve(q, p) == pytest.approx(area, abs=1e-6)


def test_without_the_package_there_is_no_figure(real, monkeypatch):
    monkeypatch.setitem(sys.modules, "mauve", None)
    assert mauve(moved(0.0), real) is None
