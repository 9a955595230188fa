"""Matrices of 8-bit whole numbers, a quarter of the memory that is read for each token; on CPUs only.

Each row of a matrix, and each row that is multiplied with it, is divided by its own largest number first (as in
LLM.int8, Dettmers et al. 2022): one scale for a whole batch ruins a real model, and one row would change another.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from arasuji.models import _kernels

warnings.filterwarnings("ignore", "torch.quantize_per_tensor")  # this type of tensor is to go one day

Rows = NDArray[Any]
"""Of float32: numpy's arrays are handed to a loop in half the time."""
LARGEST = 127
TINY = torch.finfo(torch.float32).tiny
STEP = float(np.float32(2) / np.float32(255))
"""From one of the 256 levels between -1 and 1 to the next, in float32,"""
LEVELS = float(np.float32(1) / np.float32(STEP))
"""and how many of them make a unit, as torch's dynamic product counts them,"""
MIDDLE = 128
"""from the level that is 0."""


class Quantized(NamedTuple):
    """A matrix is about weight * scale[:, None]."""

    weight: Tensor
    """(E, D) int8."""
    scale: Tensor
    """(E,) float32."""


def quantized(weight: Tensor) -> Quantized:
    """The nearest 8-bit matrix, a scale a row; weight (E, D)."""
    scale = (weight.float().abs().amax(1) / LARGEST).clamp_(min=TINY)
    return Quantized((weight.float() / scale[:, None]).round_().to(torch.int8).contiguous(), scale)


class Int8Linear(nn.Module):
    """x W^T + b in whole numbers, summed in 32 bits. x (..., D), W (E, D), b (E,).

    Rows are multiplied in units: divided by their largest number, and with -1 and 1 added. There are three ways, which
    give the same to the last bit: for one row a loop of ours, as quick as W is read; for the rows of a prompt torch's
    product of whole numbers; for several rows again and again its dynamic product, which packs W into a copy first.
    """

    def __init__(self, matrix: Quantized, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.bias, self.shape = matrix.weight, bias, matrix.weight.shape
        self.worth = matrix.scale * STEP
        """Of a product of whole numbers, for each row of W."""
        self.scale, self.arrays = matrix.scale, (self.weight.numpy(), self.worth.numpy())
        self.packed: Any = None
        # The dynamic product takes its 256 levels between the least and the greatest number it is given. Two more
        # columns, whose weights are 0, see to it that these are always -1 and 1, whatever the rows hold.
        self.ends = torch.tensor([[-1.0, 1.0]])

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.shape[1]).float()
        peaks = rows.abs().amax(1, keepdim=True).clamp_(min=TINY)
        with _kernels.alone():
            y = torch.from_numpy(self.in_units(torch.cat([rows / peaks, self.ends.expand(len(rows), 2)], 1).numpy()))
        y = y.mul_(peaks) if self.bias is None else torch.addcmul(self.bias, y, peaks, out=y)
        return y.view(*x.shape[:-1], self.shape[0])

    def in_units(self, units: Rows) -> Rows:
        """The product of rows in units, (n, D + 2), without their peaks and the bias; within `_kernels.alone`."""
        if len(units) > 1 or not alike():
            return self._dynamic(units)
        y = np.empty((1, self.shape[0]), np.float32)
        _kernels.product_of_one(units, *self.arrays, LEVELS, MIDDLE, y)
        return y

    def once(self, units: Rows) -> Rows:
        """The same, of many rows that are not followed by as many: W is not packed for them."""
        if self.packed is not None or self.shape[1] == 1 or not alike():  # torch misreads a single column
            return self._dynamic(units)
        return self._whole(units)

    def pack(self) -> None:
        """Make the copy that the dynamic product reads."""
        zeros = torch.zeros(len(self.scale), dtype=torch.int64)
        padded = F.pad(self.weight, (0, 2))
        tensor = torch._make_per_channel_quantized_tensor(padded, self.scale.double(), zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(tensor, None)

    def _whole(self, units: Rows) -> Rows:
        sums = torch._int_mm(_steps(torch.from_numpy(units)), self.weight.t())
        product: Rows = sums.float().mul_(self.worth).numpy()
        return product

    def _dynamic(self, units: Rows) -> Rows:
        if self.packed is None:
            self.pack()
        product: Rows = torch.ops.quantized.linear_dynamic.default(torch.from_numpy(units), self.packed).numpy()
        return product


def _steps(units: Tensor) -> Tensor:
    """Rows in units, (n, D + 2), as whole numbers (n, D); in float64, whose product is exact: torch rounds once."""
    return ((units[:, :-2].double() * LEVELS + MIDDLE).float().round_() - MIDDLE).clamp_(max=LARGEST).to(torch.int8)


@cache
def alike() -> bool:
    """Whether torch's dynamic product rounds as ours does. Elsewhere it does all the work, or a text would depend on
    how many are written with it."""
    matrix = quantized(torch.randn(40, 48, generator=torch.Generator().manual_seed(0)))
    halves = torch.linspace(-1, 1, 511).repeat(2)[: 20 * 48].view(20, 48)  # what lies between two levels
    units = torch.cat([halves, torch.tensor([[-1.0, 1.0]]).expand(20, 2)], 1)
    layer = Int8Linear(matrix)
    return np.array_equal(layer._whole(units.numpy()), layer._dynamic(units.numpy()))


class Int8Embedding(nn.Module):
    """Rows of a matrix (V, D) by their numbers: ids (...) -> (..., D) float32."""

    def __init__(self, matrix: Quantized) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, ids: Tensor) -> Tensor:
        return self.matrix.weight[ids].float() * self.matrix.scale[ids, None]
