"""The contract of a model family, and the registry: every module of this folder without a leading underscore, and the
entry points of other packages (`docs/extending.md`).

A family is one file. It exports

    Config                               a pydantic model of its options; unknown ones are errors
    build(config, tokenizer, base)       a new model; `base` is a verified folder of pretrained weights, or None
    load(folder, precision)              a saved model, ready to write and to score
    quantize(folder, target)             optional: writes it with 8-bit weights, for `load(target, torch.int8)`

Nothing above this folder knows which family it holds.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from arasuji import plugins
from arasuji.config import TrainConfig
from arasuji.errors import OptionError

PRETRAINED = "transformer"
"""The family that opens pretrained models."""
IGNORED = -100
"""A target that is not counted: a pad, or the token before a document begins."""


class State(Protocol):
    """What a model remembers of the tokens it has read: one slot a row."""

    def select(self, rows: Tensor) -> Self:
        """The state of some rows, in the order given; `rows` (n,) int64, repeats allowed."""

    def join(self, other: Self) -> Self:
        """The rows of this state followed by those of the other."""

    def detach(self) -> Self:
        """The same values, cut from the graph."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it as named tensors, for a checkpoint; `LanguageModel.state_from` reads them back."""


class Vocabulary(Protocol):
    """The part of a tokenizer that a model is built from."""

    vocabulary_size: int
    end_id: int
    pad_id: int


class LanguageModel(nn.Module, ABC):
    """A model of the next token."""

    context_length: int | None = None
    """The most tokens a row can hold, the end token before it included; None where there is no limit."""
    vocabulary_size: int
    """The tokens that it has a score for: those of its tokenizer, and in some models rows that no token has."""

    @abstractmethod
    def forward(self, ids: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Price each target.

        ids, targets (B, T) int64, padded on the right; targets are `IGNORED` where nothing is counted.
        Returns nats (B, T) float32, -ln p(target | ids up to there), 0 where ignored; and the state after
        the last column, which means something for rows without pads only.
        """

    @abstractmethod
    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read lengths[b] >= 1 new tokens of row b; ids (B, T) padded on the right, lengths (B,).

        Returns the scores (logits) of each row's next token (B, V) float32, which the caller may write over, and the
        new state.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and configuration into an existing folder: safetensors and JSON only."""

    def state_from(self, tensors: dict[str, Tensor]) -> Any:
        """The state that `State.tensors` wrote; for families that carry one through a stream."""
        return None

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Parameters for the optimizer; matrices decay, vectors (biases, norms) do not, as in nanoGPT."""
        trainable = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": train.weight_decay},
            {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def learned(self) -> dict[str, Tensor]:
        """What training has changed since `build`, as named tensors for a checkpoint."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def restore(self, learned: dict[str, Tensor]) -> None:
        """Put back what `learned` gave, on a model that was built in the same way."""
        own = self.learned()
        if own.keys() != learned.keys() or any(own[n].shape != learned[n].shape for n in own):
            raise OptionError("the checkpoint's weights do not fit this model; were its options changed?")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(learned[name])

    def size(self) -> dict[str, int]:
        """Parameters, all of them and those that training changes; shared ones are counted once."""
        parameters = list(self.parameters())
        return {
            "parameters": sum(p.numel() for p in parameters),
            "trained": sum(p.numel() for p in parameters if p.requires_grad),
        }


def way_to_multiply() -> str:
    """How 8-bit matrices are multiplied on this machine: the quickest way that has proved to be exact here."""
    return str(importlib.import_module(f"{__name__}._product").WAY)


_REGISTRY = plugins.Registry("model family", __name__, plugins.FAMILIES, ("Config", "build", "load"))


def families() -> list[str]:
    """The names of the families there are."""
    return _REGISTRY.names()


def family(name: str) -> Any:
    """The module of a family."""
    return _REGISTRY.module(name)
