"""The loops of an 8-bit model; on CPUs only.

numba compiles them for the processor they run on: seconds at the first use after installing, later none. Each function
with `board` is a loop that threads share (see `_team`); the others do a row or a piece of it.

A row that a matrix is multiplied with is kept as whole numbers, `levels`; one level stands for `size` (see `_int8`).
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core.codegen import get_host_cpu_features

from arasuji.models import _vectors
from arasuji.models._team import pieces
from arasuji.models._vectors import BLOCK, WAYS, dot_by, nothing, store_totals

LARGEST = 127
COLUMNS = 4
"""Rows of a matrix that are multiplied together, which are columns of the product; with as many rows of the other side,
where there are as many. More sums would not fit in the registers."""
NEAR = 32
"""Rows that are multiplied with a piece of a matrix before others are, so that they stay in the cache."""
PIECE_BYTES = 2**16
"""Of a matrix that are a piece: microseconds for one row."""


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
exactly: Any = partial(numba.njit, nogil=True, error_model="numpy", cache=_kept())
"""Sums are taken in the order in which they are written: the same for a row alone and for one among others. Divisions
are not checked for zero, as Python does: a loop that checks them cannot use vectors."""
compiled: Any = partial(exactly, fastmath=True)
within: Any = partial(numba.njit, fastmath=True, error_model="numpy", inline="always")

NOTHING = np.float32(1e-30)
"""A row of smaller numbers counts as zeros, since what divides it would not fit in float32."""
LEAST, MOST = np.float32(-87), np.float32(88)
"""Exponentials are taken between these, where float32 holds them."""


@cache
def multiplication(way: str) -> Any:
    """The product of rows with a piece of a matrix, its whole numbers added up in a way that `_vectors` knows."""
    dot = dot_by(way)

    @exactly
    def four_rows(levels: Any, row: int, tiles: Any, group: int, whole: Any, column: int) -> None:
        """Sixteen sums: of four rows, by a group of four columns."""
        a0, a1, a2, a3 = nothing(), nothing(), nothing(), nothing()
        b0, b1, b2, b3 = nothing(), nothing(), nothing(), nothing()
        c0, c1, c2, c3 = nothing(), nothing(), nothing(), nothing()
        d0, d1, d2, d3 = nothing(), nothing(), nothing(), nothing()
        for block in range(tiles.shape[1]):
            a0 = dot(a0, tiles, group, block, 0, levels, row)
            a1 = dot(a1, tiles, group, block, 1, levels, row)
            a2 = dot(a2, tiles, group, block, 2, levels, row)
            a3 = dot(a3, tiles, group, block, 3, levels, row)
            b0 = dot(b0, tiles, group, block, 0, levels, row + 1)
            b1 = dot(b1, tiles, group, block, 1, levels, row + 1)
            b2 = dot(b2, tiles, group, block, 2, levels, row + 1)
            b3 = dot(b3, tiles, group, block, 3, levels, row + 1)
            c0 = dot(c0, tiles, group, block, 0, levels, row + 2)
            c1 = dot(c1, tiles, group, block, 1, levels, row + 2)
            c2 = dot(c2, tiles, group, block, 2, levels, row + 2)
            c3 = dot(c3, tiles, group, block, 3, levels, row + 2)
            d0 = dot(d0, tiles, group, block, 0, levels, row + 3)
            d1 = dot(d1, tiles, group, block, 1, levels, row + 3)
            d2 = dot(d2, tiles, group, block, 2, levels, row + 3)
            d3 = dot(d3, tiles, group, block, 3, levels, row + 3)
        store_totals(whole, row, column, a0, a1, a2, a3)
        store_totals(whole, row + 1, column, b0, b1, b2, b3)
        store_totals(whole, row + 2, column, c0, c1, c2, c3)
        store_totals(whole, row + 3, column, d0, d1, d2, d3)

    @exactly
    def one_row(levels: Any, row: int, tiles: Any, group: int, whole: Any, column: int) -> None:
        a0, a1, a2, a3 = nothing(), nothing(), nothing(), nothing()
        for block in range(tiles.shape[1]):
            a0 = dot(a0, tiles, group, block, 0, levels, row)
            a1 = dot(a1, tiles, group, block, 1, levels, row)
            a2 = dot(a2, tiles, group, block, 2, levels, row)
            a3 = dot(a3, tiles, group, block, 3, levels, row)
        store_totals(whole, row, column, a0, a1, a2, a3)

    @exactly
    def multiply(levels: Any, sizes: Any, matrix: Any, first: int, last: int, add: bool, y: Any) -> None:
        """Columns of y (n, E), 4 * first up to 4 * last, of levels (n, blocks, 32): written, or added to."""
        tiles, scales, offsets, bias = matrix
        whole = np.empty((len(y), (last - first) * COLUMNS), np.int32)
        for start in range(0, len(y), NEAR):
            stop = min(start + NEAR, len(y))
            full = stop - (stop - start) % COLUMNS
            for group in range(first, last):
                for row in range(start, full, COLUMNS):
                    four_rows(levels, row, tiles, group, whole, (group - first) * COLUMNS)
                for row in range(full, stop):
                    one_row(levels, row, tiles, group, whole, (group - first) * COLUMNS)
        left, right = first * COLUMNS, min(last * COLUMNS, y.shape[1])
        for row in range(len(y)):
            for column in range(left, right):
                value = np.float32(whole[row, column - left] - offsets[column]) * (scales[column] * sizes[row])
                y[row, column] = value + bias[column] + (y[row, column] if add else np.float32(0))

    return multiply


def worst(width: int) -> tuple[Any, Any]:
    """Rows and a matrix, (9, width) and (7, width) of whole numbers, whose products are the hardest to get right: all
    at the ends of their range, of one sign or of both, and drawn at random."""
    generator = np.random.default_rng(width)
    rows = generator.integers(-LARGEST, LARGEST + 1, (9, width))
    matrix = generator.integers(-LARGEST, LARGEST + 1, (7, width))
    rows[:2], rows[2], rows[3] = [[LARGEST], [-LARGEST]], 0, 3
    matrix[0], matrix[1], matrix[2], matrix[3, ::2] = LARGEST, -LARGEST, 1, LARGEST
    return rows, matrix


def exact(multiply: Any, way: str) -> bool:
    """Whether a product gives what 64-bit whole numbers give, for few and many columns, odd numbers of them, one row
    and several."""
    _, kind, added = WAYS[way]
    for width in (1, 31, 32, 33, 768, 2**14 + 1):
        rows, matrix = worst(width)
        blocks = -(-width // BLOCK)
        levels = np.zeros((len(rows), blocks * BLOCK), kind)
        levels[:, :width] = rows + added
        tiles = np.zeros((2 * COLUMNS, blocks * BLOCK), np.int8)
        tiles[: len(matrix), :width] = matrix
        offsets = tiles.sum(1, dtype=np.int32) * np.int32(added)
        tiles = np.ascontiguousarray(tiles.reshape(2, COLUMNS, blocks, BLOCK).swapaxes(1, 2))
        ones, zeros = np.ones(len(matrix), np.float32), np.zeros(len(matrix), np.float32)
        for count in (1, len(rows)):
            y = np.empty((count, len(matrix)), np.float32)
            levels_of = levels[:count].reshape(count, blocks, BLOCK)
            multiply(levels_of, np.ones(count, np.float32), (tiles, ones, offsets, zeros), 0, 2, False, y)
            if not np.array_equal(y, (rows[:count] @ matrix.T).astype(np.float32)):
                return False
    return True


def proved() -> tuple[str, Any]:
    """The quickest way to multiply that is exact on this machine, and the product by it."""
    for way in _vectors.possible():
        multiply = multiplication(way)
        if exact(multiply, way):
            return way, multiply
    raise AssertionError("products of whole numbers are not exact on this processor")


WAY, multiply = proved()
_, LEVEL, ADDED = WAYS[WAY]


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
def _sigmoid(x: Any) -> Any:
    return np.float32(1) / (np.float32(1) + _exp(-x))


@compiled
def quantize(row: Any, levels: Any) -> Any:
    """Put a row of numbers (D,) into levels (D or more,) of -127 to 127; returns how much one level is."""
    most = NOTHING
    for d in range(len(row)):
        most = max(most, abs(row[d]))
    share = np.float32(LARGEST) / most
    for d in range(len(row)):
        levels[d] = LEVEL(np.int32(np.rint(row[d] * share)) + ADDED)
    return np.float32(1) / share


@compiled
def product(board: Any, phase: int, levels: Any, sizes: Any, matrix: Any, add: bool, y: Any) -> None:
    """One phase: y (n, E) of levels (n, blocks, 32), written or added to."""
    tiles = matrix[0]
    groups = max(1, PIECE_BYTES // (tiles.shape[1] * BLOCK * COLUMNS))
    for piece in pieces(board, phase, -(-len(tiles) // groups)):
        multiply(levels, sizes, matrix, piece * groups, min((piece + 1) * groups, len(tiles)), add, y)


@compiled
def quantize_all(board: Any, phase: int, rows: Any, levels: Any, sizes: Any) -> None:
    """One phase: rows (n, D) into levels (n, blocks, 32) and their sizes (n,)."""
    for row in pieces(board, phase, len(rows)):
        sizes[row] = quantize(rows[row], levels[row].reshape(-1))


@compiled
def linear(board: Any, rows: Any, levels: Any, sizes: Any, matrix: Any, y: Any) -> None:
    """Rows (n, D) times a matrix."""
    quantize_all(board, 0, rows, levels, sizes)
    product(board, 1, levels, sizes, matrix, False, y)


@compiled
def _of(matrix: Any, layer: int) -> Any:
    tiles, scales, offsets, bias = matrix
    return tiles[layer], scales[layer], offsets[layer], bias[layer]


class Output(NamedTuple):
    """The rows of which scores are wanted, and what makes them."""

    rows: Any
    """(m,)."""
    matrix: Any
    """The output layer."""
    levels: Any
    sizes: Any
    """Room for the rows' levels."""
    scores: Any
    """(m, V), to be written."""


class LstmRoom(NamedTuple):
    """What n rows need on their way through a layer that reads C numbers and remembers D."""

    both: Any
    """(n, C + D)."""
    levels: Any
    sizes: Any
    gates: Any
    """(n, 4 D)."""


@compiled
def _lstm_layer(
    board: Any, phase: int, below: Any, at: Any, rows: Any, cells: Any, hidden: Any, matrix: Any, room: Any
) -> None:
    """Three phases: what a layer reads, rows `at` (n,) of below, changes `rows` (n,) of what it remembers, hidden and
    cells (B, D) (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, gates in torch's order)."""
    inputs, size = below.shape[1], cells.shape[1]
    for i in pieces(board, phase, len(rows)):
        room.both[i, :inputs], room.both[i, inputs:] = below[at[i]], hidden[rows[i]]
        room.sizes[i] = quantize(room.both[i], room.levels[i].reshape(-1))
    product(board, phase + 1, room.levels, room.sizes, matrix, False, room.gates)
    for i in pieces(board, phase + 2, len(rows)):
        gates, cell, out = room.gates[i], cells[rows[i]], hidden[rows[i]]
        for d in range(size):
            enter, forget = _sigmoid(gates[d]), _sigmoid(gates[size + d])
            new = np.float32(2) * _sigmoid(np.float32(2) * gates[2 * size + d]) - np.float32(1)
            cell[d] = forget * cell[d] + enter * new
            out[d] = _sigmoid(gates[3 * size + d]) * (np.float32(2) * _sigmoid(np.float32(2) * cell[d]) - np.float32(1))


@compiled
def lstm(
    board: Any,
    below: Any,
    rows: Any,
    cells: Any,
    hidden: Any,
    first: Any,
    others: Any,
    first_room: Any,
    room: Any,
    output: Any,
) -> None:
    """One token through all layers, and the scores after it: what the first one reads, below (n, C), changes `rows`
    (n,) of hidden and cells, (L, B, D). `others` are the matrices of the layers above it, as in `Blocks`."""
    layers = len(cells)
    _lstm_layer(board, 0, below, np.arange(len(rows)), rows, cells[0], hidden[0], first, first_room)
    for layer in range(1, layers):
        under, matrix = hidden[layer - 1], _of(others, layer - 1)
        _lstm_layer(board, 3 * layer, under, rows, rows, cells[layer], hidden[layer], matrix, room)
    for i in pieces(board, 3 * layers, len(output.rows)):
        output.sizes[i] = quantize(hidden[layers - 1, output.rows[i]], output.levels[i].reshape(-1))
    product(board, 3 * layers + 1, output.levels, output.sizes, output.matrix, False, output.scores)


@compiled
def normalize(x: Any, weight: Any, shift: Any, centred: bool, epsilon: float, out: Any) -> None:
    """The layer norm (centred) or RMS norm of a row, all (D,)."""
    size = len(x)
    total = np.float32(0)
    for d in range(size):
        total += x[d]
    mean = total / size if centred else np.float32(0)
    squares = np.float32(0)
    for d in range(size):
        squares += (x[d] - mean) ** 2
    scale = np.float32(1 / math.sqrt(squares / size + epsilon))
    for d in range(size):
        out[d] = (x[d] - mean) * scale * weight[d] + shift[d]


@compiled
def activate(y: Any, gated: bool, out: Any) -> None:
    """y (2 F,) as silu(first half) * second half where gated, else y (F,) by GELU (its tanh form), into out (F,)."""
    size = len(out)
    if gated:
        for d in range(size):
            out[d] = y[d] * _sigmoid(y[d]) * y[size + d]
    else:
        for d in range(size):
            z = y[d]
            # (1 + tanh(a)) / 2 is the sigmoid of 2 a
            out[d] = z * _sigmoid(np.float32(1.5957691216) * (z + np.float32(0.044715) * z * z * z))


@compiled
def rotate(x: Any, cos: Any, sin: Any) -> None:
    """Turn the pairs of a head's numbers (size,) by the angles of its position, cos and sin (size / 2,) or (0,)."""
    half = len(cos)
    for d in range(half):
        one, other = x[d], x[half + d]
        x[d] = one * cos[d] - other * sin[d]
        x[half + d] = other * cos[d] + one * sin[d]


@compiled
def keep(qkv: Any, cos: Any, sin: Any, kept: Any, column: int) -> None:
    """Keep a token's keys and values, of qkv ((H + 2 K) * size,), in kept (2, K, columns, size), bits of bfloat16."""
    _, kv_heads, _, size = kept.shape
    heads = len(qkv) // size - 2 * kv_heads
    for head in range(kv_heads):
        key = qkv[(heads + head) * size : (heads + head + 1) * size]
        value = qkv[(heads + kv_heads + head) * size : (heads + kv_heads + head + 1) * size]
        rotate(key, cos, sin)
        for d in range(size):
            kept[0, head, column, d] = _half(key[d])
            kept[1, head, column, d] = _half(value[d])


@compiled
def attend(query: Any, cos: Any, sin: Any, keys: Any, values: Any, columns: int, read: Any) -> None:
    """What a query (size,) reads of the first columns of keys and values (columns or more, size), bits of bfloat16,
    into read (size,)."""
    size = len(query)
    rotate(query, cos, sin)
    scale = np.float32(1 / math.sqrt(size))
    weights = np.empty(columns, np.float32)
    most = np.float32(-np.inf)
    for column in range(columns):
        score = np.float32(0)
        for d in range(size):
            score += query[d] * _number(keys[column, d])
        weights[column] = score * scale
        most = max(most, weights[column])
    total = np.float32(0)
    for column in range(columns):
        weights[column] = _exp(weights[column] - most)
        total += weights[column]
    for d in range(size):
        read[d] = 0
    for column in range(columns):
        for d in range(size):
            read[d] += weights[column] * _number(values[column, d])
    for d in range(size):
        read[d] /= total


class Blocks(NamedTuple):
    """The weights of a decoder's blocks. What all layers have is one array, with the layers along its first dimension;
    a matrix is (tiles, scales, offsets, bias), a norm (weight, shift)."""

    first: Any
    qkv: Any
    out: Any
    second: Any
    up: Any
    down: Any


class Room(NamedTuple):
    """What n rows need on their way through the blocks."""

    sizes: Any
    """(n,): how much one level is."""
    normed: Any
    """(n, D / 32, 32): levels of what the first and third product of a block read."""
    qkv: Any
    """(n, (H + 2 K) * size)."""
    read: Any
    """(n, H * size): what attention gives,"""
    read_levels: Any
    """and its levels."""
    inner: Any
    """(n, F), or (n, 2 F) where gated."""
    inner_levels: Any
    """(n, F / 32, 32): levels of its activations."""


PHASES = 10
"""Of a block."""


@compiled
def _norm(
    board: Any,
    phase: int,
    x: Any,
    rows: Any,
    norm: Any,
    layer: int,
    centred: bool,
    epsilon: float,
    levels: Any,
    sizes: Any,
) -> None:
    """One phase: the norm of some rows (m,) of x (n, D), as levels (m, D / 32, 32)."""
    for i in pieces(board, phase, len(rows)):
        normed = np.empty(x.shape[1], np.float32)
        normalize(x[rows[i]], norm[0][layer], norm[1][layer], centred, epsilon, normed)
        sizes[i] = quantize(normed, levels[i].reshape(-1))


@compiled
def decoder(
    board: Any,
    x: Any,
    slots: Any,
    columns: Any,
    cos: Any,
    sin: Any,
    cache: Any,
    weights: Any,
    centred: bool,
    epsilon: float,
    gated: bool,
    room: Any,
    last: Any,
    output: Any,
) -> None:
    """New tokens through a decoder, and the scores after some of them. x (n, D), which is written over, is of a token
    in a slot and column each, (n,).

    cos and sin (n, size / 2) turn queries and keys, or are (n, 0). cache (slots, L, 2, K, columns, size), bits of
    bfloat16, has the keys and values of all earlier tokens of these slots, and gets those of the new ones; a token
    reads those of its slot up to its own column. Norms are layer norms (centred) or RMS norms, the last one (1, D)
    twice; `gated` is for `activate`.
    """
    kv_heads, size = cache.shape[3], cache.shape[5]
    shared = room.read.shape[1] // size // kv_heads
    everything = np.arange(len(x))
    for layer in range(cache.shape[1]):
        phase = layer * PHASES
        _norm(board, phase, x, everything, weights.first, layer, centred, epsilon, room.normed, room.sizes)
        product(board, phase + 1, room.normed, room.sizes, _of(weights.qkv, layer), False, room.qkv)
        for row in pieces(board, phase + 2, len(x)):
            keep(room.qkv[row], cos[row], sin[row], cache[slots[row], layer], columns[row])
        for task in pieces(board, phase + 3, len(x) * kv_heads):
            row, head = task // kv_heads, task % kv_heads
            keys, values = cache[slots[row], layer, 0, head], cache[slots[row], layer, 1, head]
            queries, read = room.qkv[row], room.read[row]
            for first in range(head * shared * size, (head + 1) * shared * size, size):
                query, out = queries[first : first + size], read[first : first + size]
                attend(query, cos[row], sin[row], keys, values, columns[row] + 1, out)
        quantize_all(board, phase + 4, room.read, room.read_levels, room.sizes)
        product(board, phase + 5, room.read_levels, room.sizes, _of(weights.out, layer), True, x)
        _norm(board, phase + 6, x, everything, weights.second, layer, centred, epsilon, room.normed, room.sizes)
        product(board, phase + 7, room.normed, room.sizes, _of(weights.up, layer), False, room.inner)
        for row in pieces(board, phase + 8, len(x)):
            active = np.empty(room.inner.shape[1] // (2 if gated else 1), np.float32)
            activate(room.inner[row], gated, active)
            room.sizes[row] = quantize(active, room.inner_levels[row].reshape(-1))
        product(board, phase + 9, room.inner_levels, room.sizes, _of(weights.down, layer), True, x)
    phase = cache.shape[1] * PHASES
    _norm(board, phase, x, output.rows, last, 0, centred, epsilon, output.levels, output.sizes)
    product(board, phase + 1, output.levels, output.sizes, output.matrix, False, output.scores)
