"""Muon is torch's; which parameters it takes, and what a checkpoint keeps of it."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import small_model
from torch import nn

from arasuji.config import TrainConfig
from arasuji.training.optimizers import Muon, optimizers_of, orthogonal, restore_states, states_of

MUON = TrainConfig.model_validate({"optimizer": "muon", "weight_decay": 0.1})


@pytest.mark.parametrize("shape", [(12, 12), (8, 30), (30, 8)])
def test_muon_takes_the_steps_of_torchs_muon(shape):
    ours = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    theirs = nn.Parameter(ours.detach().clone())
    muon = Muon([{"params": [ours], "weight_decay": 0.1}], 0.02, bf16=True)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(5):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1 + seed))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        reference.step()
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(16, 16), (10, 40), (40, 10)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_singular_values_of_an_update_are_about_1_whatever_the_gradient(shape, size):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * size
    values = torch.linalg.svdvals(orthogonal(matrix, torch.float32))
    assert values.min() > 0.4
    assert values.max() < 1.3


def test_a_gradient_of_zeros_moves_nothing():
    assert torch.equal(orthogonal(torch.zeros(4, 4), torch.float32), torch.zeros(4, 4))


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_muon_takes_hidden_matrices_and_adamw_all_others(family, bpe):
    model = small_model(family, bpe)
    muon, adamw = optimizers_of(model, MUON, bf16=False)
    taken = [{id(p) for group in part.param_groups for p in group["params"]} for part in (muon, adamw)]
    assert taken[0] | taken[1] == {id(p) for p in model.parameters()}
    assert not taken[0] & taken[1]
    for name, parameter in model.named_parameters():
        table = any(word in name for word in ("embedding", "wte", "wpe", "linear"))
        assert (id(parameter) in taken[0]) == (parameter.ndim == 2 and not table), name


def stepped(model, optimizers):
    """Take two steps of fixed gradients."""
    for seed in range(2):
        torch.manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        for optimizer in optimizers:
            optimizer.step()


def test_restored_states_take_the_steps_that_the_old_ones_take(bpe):
    model = small_model("lstm", bpe)
    old = optimizers_of(model, MUON, bf16=False)
    stepped(model, old)
    states = copy.deepcopy(dict(enumerate(state for optimizer in old for state in states_of(optimizer))))
    again = copy.deepcopy(model)
    new = optimizers_of(again, MUON, bf16=False)
    restore_states(new, states)
    stepped(model, old)
    stepped(again, new)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("config", [TrainConfig.model_validate({"optimizer": "adamw"}), MUON])
def test_parameters_that_had_no_gradient_yet_are_restored_without_a_state(bpe, config):
    """As the last cluster of an adaptive softmax, before one of its words was a target."""
    model = small_model("lstm", bpe, cutoffs=[100, 300])
    old = optimizers_of(model, config, bf16=False)
    loss, _ = model(torch.tensor([[0, 5, 6]]), torch.tensor([[5, 6, 7]]))
    loss.sum().backward()
    for optimizer in old:
        optimizer.step()
    states = {i: state for i, state in enumerate(s for part in old for s in states_of(part)) if state}
    assert 0 < len(states) < len([*model.parameters()])
    again = copy.deepcopy(model)
    new = optimizers_of(again, config, bf16=False)
    restore_states(new, copy.deepcopy(states))
    stepped(model, old)
    stepped(again, new)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_muon_takes_no_matrix_of_an_adaptive_softmax(bpe):
    model = small_model("lstm", bpe, cutoffs=[100, 300])
    muon, _ = optimizers_of(model, MUON, bf16=False)
    taken = {id(parameter) for group in muon.param_groups for parameter in group["params"]}
    assert taken == {id(p) for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("lstm.")}


def test_states_of_other_parameters_are_refused(bpe):
    model = small_model("lstm", bpe)
    optimizers = optimizers_of(model, MUON, bf16=False)
    stepped(model, optimizers)
    states = dict(enumerate(state for optimizer in optimizers for state in states_of(optimizer)))
    with pytest.raises(ValueError, match="not those of this model"):
        restore_states(optimizers, states | {len(states): states[0]})
    with pytest.raises(ValueError, match="do not fit"):
        restore_states(optimizers, states | {0: {"momentum": torch.zeros(2, 2)}})
    with pytest.raises(ValueError, match="do not fit"):
        restore_states(optimizers, states | {0: states[len(states) - 1]})
    with pytest.raises(ValueError, match="not float32"):
        restore_states(optimizers, states | {0: {"momentum": states[0]["momentum"].double()}})
