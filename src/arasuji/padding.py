"""Rows of different lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def padded(rows: Sequence[Sequence[int] | np.ndarray], value: int) -> Tensor:
    """At least one row of token ids or targets as one tensor (B, T) int64, where T is the length of the longest row.
    `value` fills the shorter rows on the right."""
    return pad_sequence([torch.tensor(row, dtype=torch.int64) for row in rows], batch_first=True, padding_value=value)
