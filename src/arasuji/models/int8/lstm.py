"""An LSTM with 8-bit matrices, for writing on a CPU: one product a layer and token, of what the layer reads and what it
remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from arasuji import device
from arasuji.models import LanguageModel, Loss
from arasuji.models._head import AdaptiveSoftmax, cross_entropy, token_losses
from arasuji.models.int8 import kernels, team
from arasuji.models.int8.matrix import NO_ROWS, Int8Matrix, Quantized, quantized, work
from arasuji.models.int8.vectors import BLOCK


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
        output = linear.weight
        if model.projection is not None:  # one product while writing, though in training two are less work
            output = output @ model.projection.weight
        keep("head", output, linear.bias)
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
        self.first = matrix("layers.0")
        above = [matrix(f"layers.{i}").arrays for i in range(1, config.layers)]
        none = [array[:0, None] for array in self.first.arrays]
        self.others = tuple(np.stack(part) for part in zip(*above, strict=True)) if above else tuple(none)
        self.depth = config.layers
        self.head = matrix("head")
        clusters = sum(start < vocabulary_size for start in config.cutoffs)
        self.tail = [(matrix(f"tail.{i}.0"), matrix(f"tail.{i}.1")) for i in range(clusters)]

    def _scores(self, rows: Tensor, first: Tensor) -> Tensor:
        """(n, D), and what the first output layer says of it -> (n, V): logits, or logarithms of probabilities from an
        adaptive softmax."""
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
        state = self._copied(state, len(ids))
        outputs = torch.empty(*ids.shape, self.hidden_size)
        for column in range(ids.shape[1]):
            rows = (lengths > column).nonzero()[:, 0]
            self._token(ids[rows, column], rows, state, NO_ROWS)
            outputs[rows, column] = state.hidden[-1, rows]
        return outputs, state

    def _copied(self, state: Any, rows: int) -> Any:
        """A state that may be written over."""
        if state is None:
            return self.state(*(torch.zeros(self.depth, rows, self.hidden_size) for _ in range(2)))
        kept = torch.contiguous_format
        return self.state(state.hidden.clone(memory_format=kept), state.cell.clone(memory_format=kept))

    def _token(self, ids: Tensor, rows: Tensor, state: Any, wanted: Tensor) -> Tensor:
        """Read a token each, ids (n,), in `rows` (n,) of the state, which is written over. Returns what the first
        output layer says (m, ...) of the rows that are `wanted`, (m,)."""
        below = (self.embedding.rows(ids) * self.scale).numpy()
        scores = np.empty((len(wanted), self.head.shape[0]), np.float32)
        head = self.head.arrays
        output = kernels.Output(wanted.numpy(), head, *work(len(wanted), head[0].shape[1]), scores)
        team.run(
            kernels.lstm, 3 * self.depth + 2, below, rows.numpy(), state.cell.numpy(), state.hidden.numpy(),
            self.first.arrays, self.others, self._room(len(ids), below.shape[1]),
            self._room(len(ids), self.hidden_size), output,
        )  # fmt: skip
        return torch.from_numpy(scores)

    def _room(self, rows: int, inputs: int) -> kernels.LstmRoom:
        width = inputs + self.hidden_size
        both, gates = (np.empty((rows, size), np.float32) for size in (width, 4 * self.hidden_size))
        return kernels.LstmRoom(both, *work(rows, -(-width // BLOCK)), gates)

    def forward(self, ids: Tensor, targets: Tensor, state: Any = None, loss: Loss | None = None) -> tuple[Tensor, Any]:
        loss = loss or cross_entropy
        outputs, state = self._read(ids, torch.full(ids.shape[:1], ids.shape[1]), state)
        return token_losses(
            outputs,
            targets,
            lambda rows, *of: loss(self._scores(rows, self.head(rows)), *of),
            self.vocabulary_size,
        ), state

    @device.one_thread()
    def step(self, ids: Tensor, lengths: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if ids.shape[1] > 1:
            _, state = self._read(ids, lengths, state)
            return self._scores(state.hidden[-1], self.head(state.hidden[-1])), state
        state, rows = self._copied(state, len(ids)), torch.arange(len(ids))
        first = self._token(ids[:, 0], rows, state, rows)
        return self._scores(state.hidden[-1], first), state

    def size(self) -> dict[str, int]:
        matrices = [self.embedding, self.first, self.head, *(part for pair in self.tail for part in pair)]
        whole = sum(matrix.tiles.numel() for matrix in matrices) + self.others[0].size
        return {"parameters": whole, "trained": 0}

    def save(self, folder: Path) -> None:
        raise TypeError("8-bit weights are made of a saved model, and not saved again")
