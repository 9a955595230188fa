"""What a teacher's draws promise: in the mean they are its distribution, and the student learns that."""

from __future__ import annotations

import math

import pytest
import torch

from arasuji.teaching.draws import drawn, taught

COUNT = 8


def scores_of(rows, size, seed=0):
    return 3 * torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))


def offsets(rows, seed=1):
    return torch.rand(rows, generator=torch.Generator().manual_seed(seed))


def test_each_token_is_drawn_as_often_as_it_is_likely_in_the_mean():
    one = scores_of(1, 50)
    rows = 20_000
    found = drawn(one.expand(rows, -1), offsets(rows), COUNT)
    shares = found.flatten().bincount(minlength=50) / (rows * COUNT)
    # Each draw alone would have this deviation; those of a row are less free.
    deviation = (one[0].softmax(-1) / (rows * COUNT)).sqrt()
    assert ((shares - one[0].softmax(-1)).abs() <= 5 * deviation + 1e-6).all()


def test_a_token_is_drawn_as_often_as_expected_rounded_up_or_down():
    scores = scores_of(200, 30)
    found = drawn(scores, offsets(200), COUNT)
    counts = torch.zeros(200, 30).scatter_add_(1, found, torch.ones(200, COUNT))
    assert ((counts - COUNT * scores.softmax(-1)).abs() < 1 + 1e-4).all()


def test_what_is_impossible_is_never_drawn_and_what_is_certain_always():
    scores = torch.full((3, 6), -math.inf)
    scores[:, 4] = 0.0
    assert (drawn(scores, torch.tensor([0.0, 0.5, 1 - 2**-24]), COUNT) == 4).all()


def test_the_loss_is_the_cross_entropy_with_the_teacher_in_the_mean():
    teacher, student, rows = scores_of(1, 40), scores_of(1, 40, seed=5), 5_000
    tokens = drawn(teacher.expand(rows, -1), offsets(rows), COUNT)
    loss = taught(tokens, 1.0)(student.expand(rows, -1), torch.zeros(rows, dtype=torch.int64), torch.arange(rows))
    exact = -(teacher.softmax(-1) * student.log_softmax(-1)).sum()
    assert float(loss.mean()) == pytest.approx(float(exact), abs=4 * float(loss.std()) / rows**0.5)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_weight_divides_the_loss_and_its_gradient_between_the_text_and_the_teacher(weight):
    scores, targets = scores_of(5, 20).requires_grad_(), torch.arange(5)
    tokens = drawn(scores_of(7, 20, seed=2), offsets(7), COUNT)
    places = torch.tensor([0, 2, 3, 5, 6])
    found = taught(tokens, weight)(scores, targets, places)
    log = scores.log_softmax(-1)
    by_hand = [
        -(1 - weight) * log[i, i] - weight * sum(log[i, token] for token in tokens[place]) / COUNT
        for i, place in enumerate(places.tolist())
    ]
    assert torch.allclose(found, torch.stack(by_hand), atol=1e-5)
    (gradient,) = torch.autograd.grad(found @ torch.arange(5.0), scores)
    (expected,) = torch.autograd.grad(torch.stack(by_hand) @ torch.arange(5.0), scores)
    assert torch.allclose(gradient, expected, atol=1e-5)
