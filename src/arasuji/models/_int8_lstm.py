"""An LSTM with 8-bit matrices, for writing on a CPU: one product a layer and token, of what the layer reads and what it
remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from arasuji.models import LanguageModel, _kernels
from arasuji.models._head import AdaptiveSoftmax, nats_of, priced
from arasuji.models._int8 import Int8Embedding, Int8Linear, Quantized, quantized


def tensors_of(model: Any) -> dict[str, Tensor]:
    """The tensors that `Int8Lstm` is made of; `model` is an `Lstm`."""
    tensors: dict[str, Tensor] = {}

    def keep(name: str, weight: Tensor, bias: Tensor | None = None) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.scale"] = quantized(weight)
        if bias is not None:
            tensors[f"{name}.bias"] = bias.float()

    lstm, linear = model.lstm, model.linear
    keep("embedding", model.embedding.weight)
    for layer in range(lstm.num_layers):
        read, remembered = (getattr(lstm, f"weight_{kind}_l{layer}") for kind in ("ih", "hh"))
        biases = [getattr(lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        keep(f"layers.{layer}", torch.cat([read, remembered], 1), biases[0] + biases[1])
    if isinstance(linear, AdaptiveSoftmax):
        keep("head", linear.head.weight, linear.head.bias)
        for i, cluster in enumerate(linear.tail):
            for j, part in enumerate(cast("list[nn.Linear]", cluster)):
                keep(f"tail.{i}.{j}", part.weight)
    else:
        keep("head", linear.weight, linear.bias)
    return tensors


class Int8Lstm(LanguageModel):
    """See `LanguageModel` for the shapes. Its state is an `LstmState`, as that of the model it was made of."""

    def __init__(self, scale: float, vocabulary_size: int, tensors: dict[str, Tensor], state: type) -> None:
        super().__init__()
        self.scale, self.vocabulary_size, self.state = scale, vocabulary_size, state

        def matrix(name: str) -> Quantized:
            return Quantized(tensors[f"{name}.weight"], tensors[f"{name}.scale"])

        def linear(name: str) -> Int8Linear:
            return Int8Linear(matrix(name), tensors.get(f"{name}.bias"))

        self.embedding = Int8Embedding(matrix("embedding"))
        layers = sum(name.startswith("layers.") and name.endswith(".scale") for name in tensors)
        clusters = sum(name.startswith("tail.") and name.endswith(".1.scale") for name in tensors)
        self.layers = nn.ModuleList(linear(f"layers.{i}") for i in range(layers))
        self.head = linear("head")
        self.tail = nn.ModuleList(nn.Sequential(linear(f"tail.{i}.0"), linear(f"tail.{i}.1")) for i in range(clusters))

    def _scores(self, rows: Tensor) -> Tensor:
        """(n, D) -> (n, V): logits, or logarithms of probabilities from an adaptive softmax."""
        first: Tensor = self.head(rows)
        if not self.tail:
            return first
        first = first.log_softmax(-1)
        frequent = first.shape[1] - len(self.tail)
        clusters = [tail(rows).log_softmax(-1) + first[:, frequent + i, None] for i, tail in enumerate(self.tail)]
        return torch.cat([first[:, :frequent], *clusters], 1)

    def _read(self, ids: Tensor, lengths: Tensor, state: Any) -> tuple[Tensor, Any]:
        """What the output layer reads at each token, (B, T, D), anything at pads, and the state after each row's last
        one."""
        shape = len(self.layers), len(ids), self.head.shape[1]
        state = self.state(torch.zeros(shape), torch.zeros(shape)) if state is None else state
        hidden, cell = state.hidden.clone(), state.cell.clone()
        read = self.embedding(ids) * self.scale
        outputs = read.new_empty(*ids.shape, shape[2])
        with _kernels.alone():
            for column in range(ids.shape[1]):
                rows = (lengths > column).nonzero()[:, 0]
                below = read[rows, column]
                for i, layer in enumerate(cast("Any", self.layers)):
                    now, kept = hidden[i, rows], cell[i, rows]
                    below = _remembered(layer, below, now, kept)
                    hidden[i, rows], cell[i, rows] = now, kept
                outputs[rows, column] = below
        return outputs, self.state(hidden, cell)

    def forward(self, ids: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self._read(ids, torch.full(ids.shape[:1], ids.shape[1]), state)
        return priced(
            outputs, targets, lambda rows, wanted: nats_of(self._scores(rows), wanted), self.vocabulary_size
        ), state

    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        _, state = self._read(ids, lengths, state)
        return self._scores(state.hidden[-1]), state

    def save(self, folder: Path) -> None:
        raise TypeError("8-bit weights are made of a saved model, and not saved again")


def _remembered(layer: Int8Linear, below: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """One token through a layer, all (n, ...); what it gave out, `hidden`, and its cell are written over."""
    units, peaks = np.empty((len(below), layer.shape[1] + 2), np.float32), np.empty(len(below), np.float32)
    _kernels.divide(below.numpy(), hidden.numpy(), units, peaks)
    assert layer.bias is not None
    _kernels.remember(layer.in_units(units), peaks, layer.bias.numpy(), cell.numpy(), hidden.numpy())
    return hidden
