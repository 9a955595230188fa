"""What lies between the matrix products of an 8-bit model, each a single pass over the rows; on CPUs only.

numba compiles these loops for the processor they run on: seconds at the first use after installing, later none.

A product leaves its rows in units: row i of what it stands for is `y[i] * peaks[i] + bias`. Each loop ends with rows
that are divided by their own largest numbers, the new `peaks`, with -1 and 1 added, as `Int8Linear` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import numba
import numpy as np
import torch
from numba import prange
from numba.core.codegen import get_host_cpu_features

ROWS, COLUMN = numba.float32[:, ::1], numba.float32[::1]
MATRIX = numba.int8[:, ::1]
KEPT, COUNTS = numba.int16[:, :, :, ::1], numba.int64[::1]


@contextmanager
def alone() -> Iterator[None]:
    """Within this the loops below may be called: with as many threads as torch has, and by one caller at a time, since
    numba's simplest kind of threads ends the process when two start a loop at once."""
    with ONE_AT_A_TIME:
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        yield


def _kept() -> bool:
    """Whether there is a folder where what was compiled can be kept: beside this file, or in the user's cache."""
    try:
        numba.njit(cache=True)(_kept)
    except RuntimeError:
        return False
    return True


def _whole_vectors() -> None:
    """LLVM uses half of the vectors of an Intel processor, with which a loop falls behind its memory by a quarter."""
    features = get_host_cpu_features()
    if numba.config.CPU_FEATURES is None and "+avx512bw" in features:  # type: ignore[attr-defined]
        numba.config.CPU_FEATURES = f"{features},-prefer-256-bit"  # type: ignore[attr-defined]


_whole_vectors()
compiled: Any = partial(numba.njit, parallel=True, fastmath=True, cache=_kept())
within: Any = partial(numba.njit, fastmath=True, inline="always")

TINY = np.finfo(np.float32).tiny
ONE_AT_A_TIME = RLock()
LEAST, MOST = np.float32(-87), np.float32(88)
"""Exponentials are taken between these, where float32 holds them."""


@within
def _exp(x: Any) -> Any:
    """e^x to a relative 1e-7 as Cephes computes it (Moshier 1984): a power of 2 times a polynomial. Unlike the C
    library's, it is taken of many numbers at once."""
    x = min(max(x, LEAST), MOST)
    power = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    x = x - power * np.float32(0.693359375) + power * np.float32(2.12194440e-4)
    series = np.float32(1.9875691500e-4)
    series = series * x + np.float32(1.3981999507e-3)
    series = series * x + np.float32(8.3334519073e-3)
    series = series * x + np.float32(4.1665795894e-2)
    series = series * x + np.float32(1.6666665459e-1)
    series = series * x + np.float32(5.0000001201e-1)
    scale = np.int32((np.int32(power) + np.int32(127)) << 23).view(np.float32)
    return (series * x * x + x + np.float32(1)) * scale


@within
def _number(half: Any) -> Any:
    """A bfloat16's bits as float32."""
    return np.uint32(np.uint32(half) << 16).view(np.float32)


@within
def _half(number: Any) -> Any:
    """The nearest bfloat16's bits, of two as near the even one."""
    bits = np.float32(number).view(np.uint32)
    return np.int16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


@within
def _divide(row: Any, size: Any) -> Any:
    """Divide the first `size` numbers of a row by the largest of them, which is returned, and add -1 and 1."""
    most = TINY
    for d in range(size):
        most = max(most, abs(row[d]))
    share = np.float32(1) / most
    for d in range(size):
        row[d] *= share
    row[size], row[size + 1] = -1, 1
    return most


@within
def _sigmoid(x: Any) -> Any:
    return np.float32(1) / (np.float32(1) + _exp(-x))


@compiled(numba.void(ROWS, ROWS, ROWS, COLUMN))
def divide(left: Any, right: Any, units: Any, peaks: Any) -> None:
    """Put rows of two, (n, C) and (n, D), side by side into units, (n, C + D + 2)."""
    first, second = left.shape[1], right.shape[1]
    for row in prange(len(left)):
        for d in range(first):
            units[row, d] = left[row, d]
        for d in range(second):
            units[row, first + d] = right[row, d]
        peaks[row] = _divide(units[row], first + second)


@compiled(numba.void(ROWS, COLUMN, COLUMN, ROWS, ROWS))
def remember(y: Any, peaks: Any, bias: Any, cell: Any, hidden: Any) -> None:
    """An LSTM's gates y, (n, 4 D), change its cell and what it gives out, (n, D) each (Hochreiter and Schmidhuber 1997,
    with the forget gate of Gers et al. 2000, in torch's order)."""
    size = cell.shape[1]
    for row in prange(len(y)):
        of, peak = y[row], peaks[row]
        for d in range(size):
            enter = _sigmoid(of[d] * peak + bias[d])
            forget = _sigmoid(of[size + d] * peak + bias[size + d])
            new = np.float32(2) * _sigmoid(np.float32(2) * (of[2 * size + d] * peak + bias[2 * size + d])) - np.float32(
                1
            )
            out = _sigmoid(of[3 * size + d] * peak + bias[3 * size + d])
            kept = forget * cell[row, d] + enter * new
            cell[row, d] = kept
            hidden[row, d] = out * (np.float32(2) * _sigmoid(np.float32(2) * kept) - np.float32(1))


@compiled(numba.void(ROWS, ROWS, COLUMN, COLUMN, COLUMN, COLUMN, numba.boolean, numba.float64, ROWS))
def norm(
    x: Any, y: Any, peaks: Any, bias: Any, weight: Any, shift: Any, centred: Any, epsilon: Any, units: Any
) -> None:
    """Add a product to x, (n, D), and put its layer norm (centred) or RMS norm into units, (n, D + 2)."""
    size = x.shape[1]
    for row in prange(len(x)):
        of, unit, peak = x[row], units[row], peaks[row]
        total = np.float32(0)
        for d in range(size):
            of[d] += y[row, d] * peak + bias[d]
            total += of[d]
        mean = total / size if centred else np.float32(0)
        squares = np.float32(0)
        for d in range(size):
            squares += (of[d] - mean) ** 2
        scale = np.float32(1 / math.sqrt(squares / size + epsilon))
        for d in range(size):
            unit[d] = (of[d] - mean) * scale * weight[d] + shift[d]
        peaks[row] = _divide(unit, size)


@compiled(numba.void(ROWS, MATRIX, COLUMN, numba.float64, numba.float64, ROWS))
def product_of_one(units: Any, weight: Any, worth: Any, levels: Any, middle: Any, y: Any) -> None:
    """One row in units, (1, D + 2), times a matrix (E, D) by whole numbers: y (1, E), as quick as the matrix is read.

    A unit is `levels` steps, which are rounded as they are counted from `middle`; see `_int8`.
    """
    size = weight.shape[1]
    steps = np.empty(size, np.int16)
    for d in range(size):
        step = np.rint(np.float32(np.float64(units[0, d]) * levels + middle)) - np.float32(middle)
        steps[d] = np.int16(min(step, np.float32(127)))
    for e in prange(len(weight)):
        total = np.int32(0)
        for d in range(size):  # numba would take larger whole numbers, of which fewer are multiplied at once
            total = np.int32(total + np.int32(np.int32(weight[e, d]) * np.int32(steps[d])))
        y[0, e] = np.float32(total) * worth[e]


@compiled(numba.void(ROWS, COLUMN, COLUMN, numba.boolean, ROWS))
def activate(y: Any, peaks: Any, bias: Any, gated: Any, units: Any) -> None:
    """y (n, 2F) as silu(first half) * second half where gated, else y (n, F) by GELU (its tanh form), into units."""
    size = units.shape[1] - 2
    for row in prange(len(y)):
        of, unit, peak = y[row], units[row], peaks[row]
        if gated:
            for d in range(size):
                gate = of[d] * peak + bias[d]
                unit[d] = gate * _sigmoid(gate) * (of[size + d] * peak + bias[size + d])
        else:
            for d in range(size):
                z = of[d] * peak + bias[d]
                # (1 + tanh(a)) / 2 is the sigmoid of 2 a
                unit[d] = z * _sigmoid(np.float32(1.5957691216) * (z + np.float32(0.044715) * z * z * z))
        peaks[row] = _divide(unit, size)


@compiled(numba.void(ROWS, COLUMN, COLUMN, ROWS, ROWS, KEPT, KEPT, COUNTS, COUNTS, ROWS))
def attend(
    mixed: Any, peaks: Any, bias: Any, cos: Any, sin: Any, keys: Any, values: Any, slots: Any, before: Any, units: Any
) -> None:
    """Keep a token's key and value, and put what it reads of all that are kept into units, (n, H * size + 2).

    mixed (n, (H + 2 K) * size) holds queries, keys and values; cos and sin (n, size / 2) turn the first two, or are
    (n, 0); keys and values (slots, K, columns, size) are bits of bfloat16. Row i, in `slots[i]`, has read `before[i]`.
    """
    few, size = keys.shape[1], keys.shape[3]
    heads = mixed.shape[1] // size - 2 * few
    shared, half, scale = heads // few, cos.shape[1], np.float32(1 / math.sqrt(size))
    for task in prange(len(mixed) * few):  # a row's heads that read the same keys
        row, kept = task // few, task % few
        last = before[row]
        of_keys, of_values = keys[slots[row], kept], values[slots[row], kept]
        asked, read, weights = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(last + 1, np.float32)
        for part in range(shared + 2):  # the key and the value come before the queries that read them
            head = (heads + kept, heads + few + kept, kept * shared + part - 2)[min(part, 2)]
            first = head * size
            for d in range(size):
                asked[d] = mixed[row, first + d] * peaks[row] + bias[first + d]
            if part != 1:
                for d in range(half):
                    one, other = asked[d], asked[half + d]
                    asked[d] = one * cos[row, d] - other * sin[row, d]
                    asked[half + d] = other * cos[row, d] + one * sin[row, d]
            if part < 2:
                strip = of_keys[last] if part == 0 else of_values[last]
                for d in range(size):
                    strip[d] = _half(asked[d])
                continue
            most = np.float32(-np.inf)
            for column in range(last + 1):
                score = np.float32(0)
                for d in range(size):
                    score += asked[d] * _number(of_keys[column, d])
                weights[column] = score * scale
                most = max(most, weights[column])
            total = np.float32(0)
            for column in range(last + 1):
                weights[column] = _exp(weights[column] - most)
                total += weights[column]
            for d in range(size):
                read[d] = 0
            for column in range(last + 1):
                for d in range(size):
                    read[d] += weights[column] * _number(of_values[column, d])
            for d in range(size):
                units[row, first + d] = read[d] / total
    for row in prange(len(mixed)):
        peaks[row] = _divide(units[row], heads * size)
