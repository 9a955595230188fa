"""The contract of a model family, and the registry: every module of this folder without a leading underscore, and the
entry points of other packages (`docs/extending.md`).

A family is one file, which declares what it can do as `FAMILY`, a `Family`. Nothing above this folder knows which
families it holds.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from arasuji import plugins
from arasuji.config import TrainConfig
from arasuji.errors import OptionError

PRETRAINED = "transformer"
"""The family that opens pretrained models."""
IGNORED = -100
"""A target that is not counted: a pad, or what stands before a text."""


class State(Protocol):
    """What a model remembers of the tokens that it has read, row by row.

    `LanguageModel.step`, `select` and `join` use up every state that they are given: its memory may be written over,
    and only the state that they return may be used afterwards. `detach` and `tensors` leave it as it is.
    """

    def select(self, rows: Tensor) -> Self:
        """The state of some rows, in the order given; `rows` (n,) int64. A row may be repeated: each copy then goes its
        own way."""

    def join(self, other: Self) -> Self:
        """The rows of this state followed by those of the other. Both are used up."""

    def detach(self) -> Self:
        """The same values, cut from the graph of gradients."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it as named tensors, for a checkpoint; `LanguageModel.state_from` reads them back."""


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(scores, targets, places) -> the losses (n,) float32 of n counted positions. scores (n, V) are those of their next
tokens, logits or log-probabilities; targets (n,) int64; places (n,) are their indices in `targets.flatten()`, by which
a loss finds what else belongs to a target, such as a teacher's distribution."""


class Vocabulary(Protocol):
    """The part of a tokenizer that a model is built from."""

    vocabulary_size: int
    end_id: int
    pad_id: int


class TrainingTexts(Protocol):
    """The training split as tokens."""

    def __len__(self) -> int:
        """The number of documents."""

    @property
    def lengths(self) -> np.ndarray:
        """The number of targets of each document: (N,) int64."""

    def read(self, place: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids and targets of a document, at most `limit` of each: (T,) int64, as `LanguageModel.forward` takes
        them."""

    def counts(self, vocabulary_size: int) -> np.ndarray:
        """How often each token is predicted in an epoch: (V,) int64."""


@dataclass(frozen=True)
class Gates:
    """What a long short-term memory did at each of T tokens, for one row; each is (layers, T, hidden) float32."""

    input: Tensor
    """The share of the candidate that is added to the cell, 0 to 1."""
    forget: Tensor
    """The share of the old cell that stays, 0 to 1."""
    output: Tensor
    """The share of the cell that the layer shows, 0 to 1."""
    cell: Tensor
    """The memory after the token: c = forget * c + input * candidate."""


class LanguageModel(nn.Module, ABC):
    """A model of the next token."""

    context_length: int | None = None
    """The most tokens a row can hold, the end token before it included; None where there is no limit."""
    vocabulary_size: int
    """The tokens that it has a score for: those of its tokenizer, and in some models rows that no token has."""

    @abstractmethod
    def forward(self, ids: Tensor, targets: Tensor, state: Any = None, loss: Loss | None = None) -> tuple[Tensor, Any]:
        """The loss of each target.

        ids, targets (B, T) int64, padded on the right; targets are `IGNORED` where nothing is counted.
        Returns the losses (B, T) float32, 0 where ignored: the cross-entropy in nats, -ln p(target | ids up to there),
        where no other `loss` is given; and the state after the last column, which is valid for rows without pads only.
        `state` is what the rows have read before, and is used up. A model that keeps all that it reads, so that it
        cannot carry the state of a stream, returns None.
        """

    @abstractmethod
    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read lengths[b] >= 1 new tokens of row b; ids (B, T) padded on the right, lengths (B,).

        Uses up `state`. Returns the scores (logits) of each row's next token (B, V) float32, which the caller may write
        over, and the new state.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and configuration into an existing folder: safetensors and JSON only."""

    @property
    def device(self) -> torch.device:
        """Where its parameters are; the CPU where it has none."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def vectors(self) -> Tensor | None:
        """The vector that it reads each token as, (V, E), to be read or changed; None where a family has none."""
        return None

    def state_from(self, tensors: dict[str, Tensor]) -> Any:
        """The state that `State.tensors` wrote; for families that carry one through a stream."""
        return None

    def begin(self, texts: TrainingTexts) -> None:
        """Called once, before a run is trained or resumed, with the texts of the training split. What it changes need
        not be part of `learned`."""

    def blocks_as_modules(self) -> list[nn.Module]:
        """The blocks of the model, the first one first. From now on each is called as a module, so that hooks on it
        see when its weights are used. None where a family does not call its layers so."""
        return []

    def attention(self, ids: Tensor) -> Tensor | None:
        """The weights with which each token reads the tokens up to itself, for one row of ids (T,): (layers, heads, T,
        T) float32, where [l, h, t, s] is how much t reads of s; 0 for s > t. None where a family has no attention."""
        return None

    def gates(self, ids: Tensor) -> Gates | None:
        """The gates and the cells after each token of one row of ids (T,), from an empty state. None where a family has
        none."""
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


@dataclass(frozen=True)
class Family:
    """What a family of models can do. What is optional is None where it cannot."""

    Config: type[BaseModel]
    """Its options; unknown ones are errors."""
    build: Callable[[Any, Vocabulary, Path | None], LanguageModel]
    """(config, tokenizer, base) -> a new model. `base` is a verified folder of pretrained weights, or None."""
    load: Callable[[Path, torch.dtype], LanguageModel]
    """(folder, precision) -> a saved model, in evaluation mode."""
    quantize: Callable[[Path, Path], None] | None = None
    """(folder, target): write a saved model with 8-bit weights into another folder, for `load(target, torch.int8)`.

    Raises BaseModelError where this model has no 8-bit form."""
    shows: frozenset[str] = frozenset()
    """What its models with whole weights show of their inside: "attention" (`LanguageModel.attention`), "memory"
    (`LanguageModel.gates`)."""
    one_step: bool = False
    """Whether its state is a few tensors (layers, B, size) whatever was read, zeros before the first token: one step is
    then a function of numbers, which other programs can compute (`exports`)."""


def way_to_multiply() -> str:
    """How 8-bit matrices are multiplied on this machine: the quickest way that has proved to be exact here."""
    return str(importlib.import_module(f"{__name__}.int8.product").WAY)


_REGISTRY = plugins.Registry("model family", __name__, plugins.FAMILIES, ("FAMILY",))


def families() -> list[str]:
    """The names of the families there are."""
    return _REGISTRY.names()


def family(name: str) -> Family:
    """A family by its name."""
    found: Family = _REGISTRY.module(name).FAMILY
    return found
