"""The optimizers of a run: Adam or AdamW for all parameters, or Muon for hidden matrices and AdamW for the others."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from arasuji.config import TrainConfig
from arasuji.models import LanguageModel
from arasuji.training.sharding import part_of, whole

MOMENTUM = 0.95
ITERATIONS = 5
"""Of Newton and Schulz, with the coefficients of Jordan et al. (2024)."""
A, B, C = 3.4445, -4.7750, 2.0315
RMS = 0.2
"""The root mean square of Muon's updates, about that of AdamW's, so that both have the same learning rate (Liu et al.
2025)."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): the momentum of a matrix, made orthogonal, so that each direction moves as far as the
    others. A step costs more than AdamW's, and a run needs fewer of them.

    torch.optim.Muon is the same in bfloat16, which takes a processor without it many times as long; this one computes
    in bfloat16 where `bf16` says so, else in float32. The tests compare the two.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, bf16: bool) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.dtype = torch.bfloat16 if bf16 else torch.float32

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if (gradient := parameter.grad) is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
                ahead = whole(gradient.lerp(momentum, MOMENTUM))  # Nesterov's look ahead
                update = part_of(orthogonal(ahead, self.dtype), parameter)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * RMS * math.sqrt(max(update.shape)))


def orthogonal(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """About the nearest matrix with orthogonal rows or columns, (M, N), found in `dtype`: its singular values lie
    between 0.5 and 1.5."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide.to(dtype)
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=B, alpha=C), wide, beta=A)
    return (wide.T if matrix.shape[0] > matrix.shape[1] else wide).to(matrix.dtype)


def optimizers_of(model: LanguageModel, config: TrainConfig, bf16: bool) -> list[torch.optim.Optimizer]:
    """The optimizers of the model's parameters; none for a model without parameters, which learns by reading."""
    groups = model.parameter_groups(config)
    found: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        hidden = _hidden_matrices(model)
        muon = _only(groups, lambda parameter: id(parameter) in hidden)
        groups = _only(groups, lambda parameter: id(parameter) not in hidden)
        found += [Muon(muon, config.learning_rate, bf16)] if muon else []
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return found + ([kind(groups, lr=config.learning_rate, fused=True)] if groups else [])


def update(model: LanguageModel, optimizers: list[torch.optim.Optimizer], config: TrainConfig, rate: float) -> None:
    """Clip the gradients, move the parameters at the learning rate `rate`, and forget the gradients."""
    if optimizers and config.clip_norm:
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


def _hidden_matrices(model: LanguageModel) -> set[int]:
    """The identities of all matrices but those of embeddings and of the output layer, whose rows stand for tokens."""
    kinds = (nn.Embedding, nn.AdaptiveLogSoftmaxWithLoss)
    tables = {id(p) for module in model.modules() if isinstance(module, kinds) for p in module.parameters()}
    matrices = [p for p in model.parameters() if p.ndim == 2 and p.shape[0] != model.vocabulary_size]
    return {id(p) for p in matrices} - tables


def _only(groups: list[dict[str, Any]], wanted: Any) -> list[dict[str, Any]]:
    """The groups with the wanted parameters alone."""
    found = [{**group, "params": [p for p in group["params"] if wanted(p)]} for group in groups]
    return [group for group in found if group["params"]]


def states_of(optimizer: torch.optim.Optimizer) -> list[dict[str, Tensor]]:
    """What the optimizer remembers of each of its parameters, in their order; nothing before the first step."""
    state = optimizer.state_dict()["state"]
    return [state.get(i, {}) for i in range(_count(optimizer))]


def restore_states(optimizers: list[torch.optim.Optimizer], states: dict[int, dict[str, Tensor]]) -> None:
    """Put back what `states_of` gave of all optimizers, whose parameters are numbered one after the other. A parameter
    that has had no gradient yet, such as a cluster of rare words, has no state.

    Raises:
        ValueError: these are not the states of such parameters. Adam's fused loop checks no shapes.
    """
    if states.keys() - range(sum(map(_count, optimizers))):
        raise ValueError("the optimizer's moments are not those of this model")
    first = 0
    for optimizer in optimizers:
        own = {i: states[first + i] for i in range(_count(optimizer)) if first + i in states}
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        _check(optimizer, own, parameters)
        parts = {i: {n: part_of(t, parameters[i]) for n, t in values.items()} for i, values in own.items()}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": parts})
        first += _count(optimizer)


def _check(optimizer: torch.optim.Optimizer, states: dict[int, dict[str, Tensor]], parameters: list[Tensor]) -> None:
    """Raise ValueError unless each state has the optimizer's tensors, in the shapes of its parameter."""
    for index, values in states.items():
        of = parameters[index].shape
        shapes = {"step": torch.Size([]), "exp_avg": of, "exp_avg_sq": of}
        if isinstance(optimizer, Muon):
            shapes = {"momentum": of}
        if {name: tensor.shape for name, tensor in values.items()} != shapes:
            raise ValueError("the optimizer's moments do not fit this model")
        if any(tensor.dtype != torch.float32 for tensor in values.values()):
            raise ValueError("the optimizer's moments are not float32")


def _count(optimizer: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)
