"""One new token a row through an 8-bit GPT-2 or Llama: what lies between two matrix products is one pass over the rows
(see `_kernels`). Else half of a step of one row is spent on starting small operations.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from arasuji.models import _kernels
from arasuji.models._cache import CacheState
from arasuji.models._int8 import Int8Linear

ONE_AT_A_TIME = Lock()
"""numba's simplest kind of threads ends the process when two of ours start a loop at once."""


class _Norm(NamedTuple):
    weight: Any
    shift: Any
    centred: bool
    """A layer norm; else an RMS norm."""
    epsilon: float


class _Matrix(NamedTuple):
    packed: Any
    bias: Any
    """Zeros where it has none."""

    def __call__(self, units: Tensor) -> Tensor:
        """The product in units: without peaks and bias."""
        product: Tensor = torch.ops.quantized.linear_dynamic.default(units, self.packed)
        return product


class _Block(NamedTuple):
    """In the order of their use."""

    first: _Norm
    mix: _Matrix
    """Queries, keys and values."""
    out: _Matrix
    second: _Norm
    widen: _Matrix
    narrow: _Matrix


class _Units:
    """Rows that a loop fills and a product reads; made once a step for each size, (n, size + 2)."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.made: dict[int, tuple[Tensor, Any]] = {}

    def __call__(self, size: int) -> tuple[Tensor, Any]:
        if size not in self.made:
            tensor = torch.empty(self.rows, size + 2)
            self.made[size] = tensor, tensor.numpy()
        return self.made[size]


class Steps:
    """The steps of a model that `_int8_decoder` has opened; `shape` is the file that knows its blocks."""

    def __init__(self, network: Any, shape: Any) -> None:
        self.shape, self.body, self.config = shape, network.base_model, network.config
        self.gated = "gate_up_proj" in shape.JOINED
        self.blocks = [self._block(block) for block in self.body.get_submodule(shape.LAYERS)]
        self.last = _norm(self.body.get_submodule(shape.LAST), self.config)
        head = network.get_output_embeddings()
        self.head, self.head_bias = _matrix(head), head.bias

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

    def scores(self, ids: Tensor, state: CacheState, rows: Tensor) -> Tensor:
        """The scores (n, V) after one more token, ids (n,), of each of the `rows` (n,) of a state that has room."""
        with ONE_AT_A_TIME:
            numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
            return self._scores(ids, state, rows)

    def _scores(self, ids: Tensor, state: CacheState, rows: Tensor) -> Tensor:
        positions, slots = state.lengths[rows], state.slots[rows].numpy()
        before, none = positions.numpy(), torch.empty(len(ids), 0)
        cos, sin = (part.numpy() for part in self.shape.turns(self.config, positions) or (none, none))
        x = self.shape.embedded(self.body, ids, positions).numpy()
        y, bias = np.zeros_like(x), np.zeros(x.shape[1], np.float32)  # nothing is added to the embedding
        peaks, units = np.zeros(len(ids), np.float32), _Units(len(ids))
        normed, normed_array = units(x.shape[1])
        for block, keys, values in zip(self.blocks, state.keys, state.values, strict=True):
            _kernels.norm(x, y, peaks, bias, *block.first, normed_array)
            mixed = block.mix(normed).numpy()
            read, read_array = units(mixed.shape[1] - 2 * keys.shape[1] * keys.shape[3])
            kept = keys.numpy(), values.numpy()
            _kernels.attend(mixed, peaks, block.mix.bias, cos, sin, *kept, slots, before, read_array)
            _kernels.norm(x, block.out(read).numpy(), peaks, block.out.bias, *block.second, normed_array)
            wide = block.widen(normed).numpy()
            inner, inner_array = units(wide.shape[1] // 2 if self.gated else wide.shape[1])
            _kernels.activate(wide, peaks, block.widen.bias, self.gated, inner_array)
            y, bias = block.narrow(inner).numpy(), block.narrow.bias
        _kernels.norm(x, y, peaks, bias, *self.last, normed_array)
        state.lengths = state.lengths.index_add(0, rows, torch.ones_like(rows))
        scores = self.head(normed).mul_(torch.from_numpy(peaks)[:, None])
        return scores if self.head_bias is None else scores.add_(self.head_bias)


def _matrix(layer: Int8Linear) -> _Matrix:
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.shape[0])
    return _Matrix(layer.packed, bias.numpy())


def _norm(layer: Any, config: Any) -> _Norm:
    weight = layer.weight.detach()
    if hasattr(layer, "bias"):
        return _Norm(weight.numpy(), layer.bias.detach().numpy(), True, config.layer_norm_epsilon)
    return _Norm(weight.numpy(), np.zeros(len(weight), np.float32), False, config.rms_norm_eps)
