"""An LSTM with 8-bit matrices, for writing on a CPU: one product a layer and token, of what the layer reads and what it
remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from arasuji import device
from arasuji.models import LanguageModel, _kernels, _team
from arasuji.models._head import AdaptiveSoftmax, nats_of, priced
from arasuji.models._int8 import Int8Matrix, Quantized, quantized, work


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

    def __init__(
        self, config: Any, scale: float, vocabulary_size: int, tensors: dict[str, Tensor], state: type
    ) -> None:
        """`config` is the LSTM's, which the tensors fit; `scale` is what an embedding is multiplied with."""
        super().__init__()
        self.scale, self.vocabulary_size, self.state = scale, vocabulary_size, state

        def matrix(name: str) -> Int8Matrix:
            matrix = Quantized(tensors[f"{name}.weight"], tensors[f"{name}.scale"])
            return Int8Matrix(matrix, tensors.get(f"{name}.bias"))

        self.hidden_size = config.hidden
        self.embedding = matrix("embedding")
        self.layers = [matrix(f"layers.{i}") for i in range(config.layers)]
        self.head = matrix("head")
        clusters = sum(start < vocabulary_size for start in config.cutoffs)
        self.tail = [(matrix(f"tail.{i}.0"), matrix(f"tail.{i}.1")) for i in range(clusters)]

    def _scores(self, rows: Tensor) -> Tensor:
        """(n, D) -> (n, V): logits, or logarithms of probabilities from an adaptive softmax."""
        first = self.head(rows)
        if not self.tail:
            return first
        first = first.log_softmax(-1)
        frequent = first.shape[1] - len(self.tail)
        clusters = [
            output(projection(rows)).log_softmax(-1) + first[:, frequent + i, None]
            for i, (projection, output) in enumerate(self.tail)
        ]
        return torch.cat([first[:, :frequent], *clusters], 1)

    def _read(self, ids: Tensor, lengths: Tensor, state: Any) -> tuple[Tensor, Any]:
        """What the output layer reads at each token, (B, T, D), anything at pads, and the state after each row's last
        one."""
        shape = len(self.layers), len(ids), self.hidden_size
        state = self.state(torch.zeros(shape), torch.zeros(shape)) if state is None else state
        hidden, cells = (part.clone(memory_format=torch.contiguous_format) for part in (state.hidden, state.cell))
        read = self.embedding.rows(ids.flatten()).view(*ids.shape, -1) * self.scale
        outputs = read.new_empty(*ids.shape, self.hidden_size)
        for column in range(ids.shape[1]):
            rows = (lengths > column).nonzero()[:, 0]
            below = read[rows, column]
            for layer, remembered, cell in zip(self.layers, hidden, cells, strict=True):
                _step(layer, below, rows, remembered, cell)
                below = remembered[rows]
            outputs[rows, column] = below
        return outputs, self.state(hidden, cells)

    def forward(self, ids: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self._read(ids, torch.full(ids.shape[:1], ids.shape[1]), state)
        return priced(
            outputs, targets, lambda rows, wanted: nats_of(self._scores(rows), wanted), self.vocabulary_size
        ), state

    @device.one_thread()
    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        _, state = self._read(ids, lengths, state)
        return self._scores(state.hidden[-1]), state

    def size(self) -> dict[str, int]:
        matrices = [self.embedding, *self.layers, self.head, *(part for pair in self.tail for part in pair)]
        return {"parameters": sum(matrix.tiles.numel() for matrix in matrices), "trained": 0}

    def save(self, folder: Path) -> None:
        raise TypeError("8-bit weights are made of a saved model, and not saved again")


def _step(layer: Int8Matrix, below: Tensor, rows: Tensor, hidden: Tensor, cells: Tensor) -> None:
    """One token (n, C) through a layer, which writes over `rows` (n,) of hidden and cells, (B, D)."""
    count, (gates, inputs) = len(rows), layer.shape
    both, y = np.empty((count, inputs), np.float32), np.empty((count, gates), np.float32)
    tensors = (part.numpy() for part in (below, rows, cells, hidden))
    _team.run(_kernels.lstm, 3, *tensors, both, *work(count, layer.tiles.shape[1]), layer.arrays, y)
