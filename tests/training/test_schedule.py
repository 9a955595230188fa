"""The learning rate: equal to torch's and transformers' schedules."""

from __future__ import annotations

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from arasuji.config import TrainConfig
from arasuji.training.schedule import Plateau, learning_rate


def config(**values) -> TrainConfig:
    return TrainConfig.model_validate({"learning_rate": 0.1, **values})


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)],
)
def test_it_equals_transformers_schedule_and_ends_at_zero(schedule, theirs):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    reference = theirs(optimizer, 10, 50)
    ours = [learning_rate(config(schedule=schedule, warmup_steps=10), s, 50, Plateau()) for s in range(51)]
    for step in range(10, 51):
        for _ in range(step - reference.last_epoch):
            optimizer.step()
            reference.step()
        assert ours[step] == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
    assert ours[50] == pytest.approx(0, abs=1e-12)


def test_the_warm_up_climbs_and_its_first_step_is_not_wasted():
    rates = [learning_rate(config(warmup_steps=4), s, 100, Plateau()) for s in range(6)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_the_plateau_equals_torchs(patience):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
    plateau = Plateau()
    for loss in [5, 4, 4, 4, 4, 3.9, 3.9, 3.89999, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1]:
        plateau.epoch(loss, patience)
        theirs.step(loss)
        ours = learning_rate(config(schedule="plateau"), 7, 10, plateau)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
