"""Reading with an 8-bit GPT-2 or Llama: one pass over the rows (`_kernels`) does what lies between two matrix products.
Else half of a step of one row is spent on starting small operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arasuji.models import _kernels
from arasuji.models._cache import CacheState, Reading
from arasuji.models._int8 import Int8Linear
from arasuji.models._layers import rotated


class _Norm(NamedTuple):
    weight: Any
    shift: Any
    centred: bool
    """A layer norm; else an RMS norm."""
    epsilon: float


class _Matrix(NamedTuple):
    times: Callable[[Tensor], Tensor]
    """The product with rows in units."""
    bias: Any
    """Zeros where it has none."""
    size: int
    """Of the rows it reads."""


class _Block(NamedTuple):
    """In the order of their use."""

    first: _Norm
    mix: _Matrix
    """Queries, keys and values."""
    out: _Matrix
    second: _Norm
    widen: _Matrix
    narrow: _Matrix


class Steps:
    """The steps of a model that `_int8_decoder` has opened; `shape` is the file that knows its blocks."""

    def __init__(self, network: Any, shape: Any) -> None:
        self.shape, self.body, self.config = shape, network.base_model, network.config
        self.gated = "gate_up_proj" in shape.JOINED
        self.blocks = [self._block(block) for block in self.body.get_submodule(shape.LAYERS)]
        self.last = _norm(self.body.get_submodule(shape.LAST), self.config)
        self.head = network.get_output_embeddings()

    def _block(self, block: Any) -> _Block:
        first, mix, out, second, widen, narrow = (block.get_submodule(name) for name in self.shape.BLOCK)
        return _Block(
            _norm(first, self.config),
            _matrix(mix),
            _matrix(out),
            _norm(second, self.config),
            _matrix(widen),
            _matrix(narrow),
        )

    def first(self, ids: Tensor, lengths: Tensor, state: CacheState) -> Tensor:
        """The scores (B, V) after the first tokens of each row, ids (B, T) with pads after `lengths` (B,); the state is
        empty."""
        reading = Reading(state, lengths, ids.shape[1])
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        heads, few = self.shape.heads(self.config)
        turns = self.shape.turns(self.config, reading.positions[:, :, None])
        nothing = torch.empty(int(real.sum()), 0)

        def attend(layer: int, mix: _Matrix, product: Tensor, peaks: Any) -> Tensor:
            of_rows = torch.addcmul(torch.from_numpy(mix.bias), product, torch.from_numpy(peaks)[:, None])
            mixed = of_rows.new_zeros(*ids.shape, heads + 2 * few, of_rows.shape[1] // (heads + 2 * few))
            mixed[real] = of_rows.unflatten(1, mixed.shape[2:])
            both, value = mixed.split([heads + few, few], 2)
            query, key = (both if turns is None else rotated(both, *turns)).split([heads, few], 2)
            read = reading.attend(layer, query, key, value)[real]
            units = _room(read, read.shape[1])
            _kernels.divide(read.numpy(), nothing.numpy(), units.numpy(), peaks)
            return units

        with _kernels.alone():
            units, peaks = self._through(ids[real], reading.positions[real], attend)
            last = lengths.cumsum(0) - 1
            return self._scored(units[last], torch.from_numpy(peaks)[last])

    def following(self, ids: Tensor, state: CacheState, rows: Tensor) -> Tensor:
        """The scores (n, V) after one more token, ids (n,), of each of the `rows` (n,) of a state that has room."""
        positions, slots = state.lengths[rows], state.slots[rows].numpy()
        before, none = positions.numpy(), torch.empty(len(ids), 0)
        cos, sin = (part.numpy() for part in self.shape.turns(self.config, positions) or (none, none))
        read = _room(ids, self.blocks[0].out.size)

        def attend(layer: int, mix: _Matrix, product: Tensor, peaks: Any) -> Tensor:
            kept = state.keys[layer].numpy(), state.values[layer].numpy()
            _kernels.attend(product.numpy(), peaks, mix.bias, cos, sin, *kept, slots, before, read.numpy())
            return read

        with _kernels.alone():
            units, peaks = self._through(ids, positions, attend)
            state.lengths = state.lengths.index_add(0, rows, torch.ones_like(rows))
            return self._scored(units, torch.from_numpy(peaks))

    def _through(self, ids: Tensor, positions: Tensor, attend: Any) -> tuple[Tensor, Any]:
        """The blocks and the last norm, over rows (n,) of tokens: units (n, D + 2) and peaks (n,)."""
        x = self.shape.embedded(self.body, ids, positions)
        normed, inner = _room(ids, x.shape[1]), _room(ids, self.blocks[0].narrow.size)
        x, into, wide = x.numpy(), normed.numpy(), inner.numpy()
        y, bias = np.zeros_like(x), np.zeros(x.shape[1], np.float32)  # nothing is added to the embedding
        peaks = np.zeros(len(ids), np.float32)
        for layer, block in enumerate(self.blocks):
            _kernels.norm(x, y, peaks, bias, *block.first, into)
            read = attend(layer, block.mix, block.mix.times(normed), peaks)
            _kernels.norm(x, block.out.times(read).numpy(), peaks, block.out.bias, *block.second, into)
            _kernels.activate(block.widen.times(normed).numpy(), peaks, block.widen.bias, self.gated, wide)
            y, bias = block.narrow.times(inner).numpy(), block.narrow.bias
        _kernels.norm(x, y, peaks, bias, *self.last, into)
        return normed, peaks

    def _scored(self, units: Tensor, peaks: Tensor) -> Tensor:
        scores: Tensor = self.head.in_units(units).mul_(peaks[:, None])
        return scores if self.head.bias is None else scores.add_(self.head.bias)


def _room(rows: Tensor, size: int) -> Tensor:
    """Where as many rows of a size go in units."""
    return torch.empty(len(rows), size + 2)


def _matrix(layer: Int8Linear) -> _Matrix:
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.shape[0])
    return _Matrix(layer.in_units, bias.numpy(), layer.shape[1])


def _norm(layer: Any, config: Any) -> _Norm:
    weight = layer.weight.detach()
    if hasattr(layer, "bias"):
        return _Norm(weight.numpy(), layer.bias.detach().numpy(), True, config.layer_norm_epsilon)
    return _Norm(weight.numpy(), np.zeros(len(weight), np.float32), False, config.rms_norm_eps)
