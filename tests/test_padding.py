"""What padding promises: every row is there, whole, at the left, whatever it is made of."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.padding import padded


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), min_size=1, max_size=5), st.booleans())
def test_rows_stand_at_the_left_and_pads_fill_the_rest(rows, as_arrays):
    made = padded([np.array(row, np.int32) for row in rows] if as_arrays else rows, -100)
    longest = max(map(len, rows))
    assert made.shape == (len(rows), longest)
    assert made.dtype == torch.int64
    assert made.tolist() == [row + [-100] * (longest - len(row)) for row in rows]
