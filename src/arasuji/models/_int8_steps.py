"""Reading with an 8-bit GPT-2 or Llama: one pass over the rows (`_kernels`) does what lies between two matrix products.
Else half of a step of one row is spent on starting small operations.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arasuji.models import _kernels
from arasuji.models._cache import CacheState, Reading
from arasuji.models._int8 import Int8Linear, Rows
from arasuji.models._layers import rotated

Product = Callable[[Int8Linear, Rows], Rows]
"""One of `Int8Linear`'s ways to multiply rows in units."""


class _Norm(NamedTuple):
    weight: Any
    shift: Any
    centred: bool
    """A layer norm; else an RMS norm."""
    epsilon: float


class _Matrix(NamedTuple):
    layer: Int8Linear
    bias: Any
    """Zeros where it has none."""


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
        nothing = np.empty((int(real.sum()), 0), np.float32)

        def attend(layer: int, mix: _Matrix, product: Rows, peaks: Any) -> Rows:
            of_rows = torch.from_numpy(product * peaks[:, None] + mix.bias)
            mixed = of_rows.new_zeros(*ids.shape, heads + 2 * few, of_rows.shape[1] // (heads + 2 * few))
            mixed[real] = of_rows.unflatten(1, mixed.shape[2:])
            both, value = mixed.split([heads + few, few], 2)
            query, key = (both if turns is None else rotated(both, *turns)).split([heads, few], 2)
            read = reading.attend(layer, query, key, value)[real].numpy()
            units = _room(len(read), read.shape[1])
            _kernels.divide(read, nothing, units, peaks)
            return units

        with _kernels.alone():
            units, peaks = self._through(ids[real], reading.positions[real], attend, Int8Linear.once)
            last = (lengths.cumsum(0) - 1).numpy()
            return self._scored(units[last], peaks[last], Int8Linear.once)

    def following(self, ids: Tensor, state: CacheState, rows: Tensor) -> Tensor:
        """The scores (n, V) after one more token, ids (n,), of each of the `rows` (n,) of a state that has room."""
        positions, slots = state.lengths[rows], state.slots[rows].numpy()
        before, none = positions.numpy(), torch.empty(len(ids), 0)
        cos, sin = (part.numpy() for part in self.shape.turns(self.config, positions) or (none, none))
        read = _room(len(ids), self.blocks[0].out.layer.shape[1])

        def attend(layer: int, mix: _Matrix, product: Rows, peaks: Any) -> Rows:
            kept = state.keys[layer].numpy(), state.values[layer].numpy()
            _kernels.attend(product, peaks, mix.bias, cos, sin, *kept, slots, before, read)
            return read

        if len(ids) > 1 and self.head.packed is None:
            self._pack()
        with _kernels.alone():
            units, peaks = self._through(ids, positions, attend, Int8Linear.in_units)
            state.lengths = state.lengths.index_add(0, rows, torch.ones_like(rows))
            return self._scored(units, peaks, Int8Linear.in_units)

    def _pack(self) -> None:
        """All matrices at once: packing leaves the interpreter to other threads."""
        layers = [part.layer for block in self.blocks for part in block if isinstance(part, _Matrix)]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(Int8Linear.pack, [self.head, *layers]))

    def _through(self, ids: Tensor, positions: Tensor, attend: Any, times: Product) -> tuple[Rows, Any]:
        """The blocks and the last norm, over rows (n,) of tokens: units (n, D + 2) and peaks (n,)."""
        x: Rows = self.shape.embedded(self.body, ids, positions).numpy()
        normed, inner = _room(len(x), x.shape[1]), _room(len(x), self.blocks[0].narrow.layer.shape[1])
        y, bias = np.zeros_like(x), np.zeros(x.shape[1], np.float32)  # nothing is added to the embedding
        peaks = np.zeros(len(x), np.float32)
        for layer, block in enumerate(self.blocks):
            _kernels.norm(x, y, peaks, bias, *block.first, normed)
            read = attend(layer, block.mix, times(block.mix.layer, normed), peaks)
            _kernels.norm(x, times(block.out.layer, read), peaks, block.out.bias, *block.second, normed)
            _kernels.activate(times(block.widen.layer, normed), peaks, block.widen.bias, self.gated, inner)
            y, bias = times(block.narrow.layer, inner), block.narrow.bias
        _kernels.norm(x, y, peaks, bias, *self.last, normed)
        return normed, peaks

    def _scored(self, units: Rows, peaks: Any, times: Product) -> Tensor:
        scores = torch.from_numpy(times(self.head, units)).mul_(torch.from_numpy(peaks)[:, None])
        return scores if self.head.bias is None else scores.add_(self.head.bias)


def _room(rows: int, size: int) -> Rows:
    """Where so many rows of a size go in units."""
    return np.empty((rows, size + 2), np.float32)


def _matrix(layer: Int8Linear) -> _Matrix:
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.shape[0])
    return _Matrix(layer, bias.numpy())


def _norm(layer: Any, config: Any) -> _Norm:
    weight = layer.weight.detach()
    if hasattr(layer, "bias"):
        return _Norm(weight.numpy(), layer.bias.detach().numpy(), True, config.layer_norm_epsilon)
    return _Norm(weight.numpy(), np.zeros(len(weight), np.float32), False, config.rms_norm_eps)
