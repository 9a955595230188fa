"""Matrices of 8-bit whole numbers, a quarter of the memory that is read for each token; on CPUs only.

Each row of a matrix, and each row that is multiplied with it, is divided by its own largest number first (as in
LLM.int8, Dettmers et al. 2022): one scale for a whole batch ruins a real model, and one row would change another.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

warnings.filterwarnings("ignore", "torch.quantize_per_tensor")  # this type of tensor is to go one day

LARGEST = 127
TINY = torch.finfo(torch.float32).tiny


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
    """x W^T + b by torch's dynamic 8-bit product, which sums in 32 bits. x (..., D), W (E, D), b (E,)."""

    def __init__(self, matrix: Quantized, bias: Tensor | None = None) -> None:
        super().__init__()
        self.bias = bias
        self.shape = matrix.weight.shape
        zeros = torch.zeros(len(matrix.scale), dtype=torch.int64)
        scale = matrix.scale.double()
        tensor = torch._make_per_channel_quantized_tensor(F.pad(matrix.weight, (0, 2)), scale, zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(tensor, None)
        # The product takes its 256 levels between the least and the greatest number it is given. Two more columns,
        # whose weights are 0, see to it that these are always -1 and 1, whatever the rows hold.
        self.ends = torch.tensor([[-1.0, 1.0]])

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.shape[1]).float()
        peaks = rows.abs().amax(1, keepdim=True).clamp_(min=TINY)
        units = torch.cat([rows / peaks, self.ends.expand(len(rows), 2)], 1)
        y = self.in_units(units)
        y = y.mul_(peaks) if self.bias is None else torch.addcmul(self.bias, y, peaks, out=y)
        return y.view(*x.shape[:-1], self.shape[0])

    def in_units(self, units: Tensor) -> Tensor:
        """The product of rows in units, (n, D + 2), that is to be multiplied by their peaks, and has no bias yet."""
        product: Tensor = torch.ops.quantized.linear_dynamic.default(units, self.packed)
        return product


class Int8Embedding(nn.Module):
    """Rows of a matrix (V, D) by their numbers: ids (...) -> (..., D) float32."""

    def __init__(self, matrix: Quantized) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, ids: Tensor) -> Tensor:
        return self.matrix.weight[ids].float() * self.matrix.scale[ids, None]
