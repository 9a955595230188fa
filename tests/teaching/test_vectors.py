"""What the teacher's vectors keep when they become a student's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arasuji.errors import OptionError
from arasuji.teaching.vectors import begin_as

TOKENS, SIZE = 40, 12


@pytest.fixture
def teacher():
    """Vectors that differ in 5 directions only."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 5, generator=generator) @ torch.randn(5, SIZE, generator=generator)


@pytest.fixture
def student():
    return 0.1 * torch.randn(TOKENS, 5, generator=torch.Generator().manual_seed(1))


def test_distances_between_tokens_stay_as_far_as_there_is_room_for_them(teacher, student):
    base_ids = np.arange(50)[::-1][:TOKENS].copy()
    spread = student.std()
    begin_as(teacher, student, base_ids, np.arange(TOKENS))
    theirs, ours = (torch.nn.functional.pdist(vectors.double()) for vectors in (teacher[base_ids], student))
    assert torch.allclose(ours / ours.mean(), theirs / theirs.mean(), atol=1e-4)
    assert student.std() == pytest.approx(float(spread), rel=0.01)


def test_what_the_teacher_does_not_know_keeps_its_vector(teacher, student):
    base_ids = np.arange(TOKENS)
    base_ids[[3, 7]] = -1
    before = student.clone()
    begin_as(teacher, student, base_ids, np.ones(TOKENS, np.int64))
    same = (student == before).all(1)
    assert same.nonzero()[:, 0].tolist() == [3, 7]


def test_frequent_tokens_decide_what_is_kept(student):
    """Most tokens differ in one direction and two frequent ones in another: one dimension has room for the latter."""
    vectors = torch.zeros(TOKENS, SIZE)
    vectors[2:, 0] = torch.arange(TOKENS - 2) / 20
    vectors[:2, 1] = torch.tensor([1.0, -1.0])
    counts = np.array([10_000, 10_000, *[1] * (TOKENS - 2)])
    one = student[:, :1].clone()
    begin_as(vectors, one, np.arange(TOKENS), counts)
    assert abs(one[0] - one[1]) > 10 * one[2:].std()


def test_vectors_larger_than_the_teachers_are_refused_in_words(teacher):
    with pytest.raises(OptionError, match=r"teaching\.embeddings=false"):
        begin_as(teacher, torch.zeros(TOKENS, SIZE + 1), np.arange(TOKENS), np.ones(TOKENS, np.int64))
