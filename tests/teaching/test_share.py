"""How much of an epoch is the corpus's own, and that all of the teacher's texts have their turn."""

from __future__ import annotations

import numpy as np
import pytest

from arasuji.teaching.share import of_epoch

OWN = 30
LENGTHS = np.random.default_rng(0).integers(5, 60, 500)


@pytest.mark.parametrize("real", [0.3, 0.5, 0.9])
def test_the_corpus_is_read_whole_and_has_its_share_and_the_teacher_nearly_all_of_the_rest(real):
    for epoch in range(20):
        numbers = of_epoch(LENGTHS, OWN, real, epoch)
        assert numbers[:OWN].tolist() == [*range(OWN)]
        assert len({*numbers.tolist()}) == len(numbers)
        share = LENGTHS[:OWN].sum() / LENGTHS[numbers].sum()
        assert real <= share < real + 0.15


def test_every_epoch_goes_on_where_the_last_one_has_ended():
    read = np.concatenate([of_epoch(LENGTHS, OWN, 0.5, epoch)[OWN:] for epoch in range(60)])
    times = np.bincount(read, minlength=len(LENGTHS))[OWN:]
    assert times.min() >= 2
    assert times.max() - times.min() <= 3


def test_without_teacher_or_with_few_texts_of_it_all_is_read():
    assert of_epoch(LENGTHS[:OWN], OWN, 0.5, 3).tolist() == [*range(OWN)]
    assert of_epoch(LENGTHS[: OWN + 3], OWN, 0.5, 3).tolist() == [*range(OWN + 3)]
    assert of_epoch(LENGTHS, OWN, 1.0, 0).tolist() == [*range(OWN)]
