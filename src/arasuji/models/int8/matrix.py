"""Matrices of 8-bit whole numbers, a quarter of the memory that is read for each token; on CPUs only.

Each row of a matrix, and each row that is multiplied with it, is divided by its own largest number first (as in
LLM.int8, Dettmers et al. 2022): one scale for a whole batch ruins a real model, and one row would change another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arasuji.errors import RunError
from arasuji.models.int8 import product, team
from arasuji.models.int8.product import COLUMNS, LARGEST
from arasuji.models.int8.vectors import BLOCK

TINY = torch.finfo(torch.float32).tiny
NO_ROWS = torch.empty(0, dtype=torch.int64)
WIDEST = (2**31 - 1) // (LARGEST * (LARGEST + 128))
"""The most columns of a matrix whose sums of products always fit in 32 bits."""


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


class Int8Matrix:
    """x W^T + b in whole numbers, summed in 32 bits, exactly; x (n, D), W (E, D), b (E,).

    W is kept in the order in which `product.multiply` reads it: `tiles` (E / 4, D / 32, 4, 32), zeros where E and D
    are no multiples.
    """

    def __init__(self, matrix: Quantized, bias: Tensor | None = None) -> None:
        self.shape = matrix.weight.shape
        if self.shape[1] > WIDEST:
            raise RunError(f"a matrix of {self.shape[1]} columns has no 8-bit form, {WIDEST} at most: say fp32")
        self.tiles, self.scale = tiled(matrix.weight), matrix.scale.clone()  # the file that it is in may be replaced
        self.bias = torch.zeros(self.shape[0]) if bias is None else bias.clone()
        self.arrays = self.tiles.numpy(), self.scale.numpy(), sums_of(self.tiles).numpy(), self.bias.numpy()

    def __call__(self, x: Tensor) -> Tensor:
        """(n, D) float32 -> (n, E) float32."""
        rows = x.float().contiguous().numpy()
        y = np.empty((len(rows), self.shape[0]), np.float32)
        team.run(product.linear, 2, rows, *work(len(rows), self.tiles.shape[1]), self.arrays, y)
        return torch.from_numpy(y)

    def rows(self, ids: Tensor) -> Tensor:
        """Rows of W by their numbers: ids (n,) -> (n, D) float32."""
        found = self.tiles[ids // COLUMNS, :, ids % COLUMNS].flatten(1)[:, : self.shape[1]]
        return found.float() * self.scale[ids, None]


def work(rows: int, blocks: int) -> tuple[Any, Any]:
    """Memory for rows as whole numbers: levels (n, blocks, 32) and the size of a level in each row (n,)."""
    return np.empty((rows, blocks, BLOCK), product.LEVEL), np.empty(rows, np.float32)


def tiled(weight: Tensor) -> Tensor:
    """(E, D) int8 as (E / 4, D / 32, 4, 32): four rows together, 32 numbers of each at a time."""
    rows, width = weight.shape
    padded = F.pad(weight, (0, -width % BLOCK, 0, -rows % COLUMNS))
    return padded.view(-1, COLUMNS, padded.shape[1] // BLOCK, BLOCK).transpose(1, 2).contiguous()


def sums_of(tiles: Tensor) -> Tensor:
    """The number to subtract from each product of a row, (E,) int32, since `ADDED` was added to its levels."""
    return tiles.sum((-3, -1), dtype=torch.int32).flatten(-2) * product.ADDED
