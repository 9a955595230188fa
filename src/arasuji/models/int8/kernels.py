"""The loops of an 8-bit model between its products; on CPUs only. See `product`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np

from arasuji.models.int8.product import FAST, compiled, product, quantize, quantize_all
from arasuji.models.int8.team import pieces

within: Any = partial(numba.njit, fastmath=FAST, error_model="numpy", inline="always")

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
def _sigmoid(x: Any) -> Any:
    return np.float32(1) / (np.float32(1) + _exp(-x))


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
    """Memory for the rows' levels and their sizes."""
    scores: Any
    """(m, V), to be written."""


class LstmRoom(NamedTuple):
    """Memory for n rows in a layer that reads C numbers and has a state of D."""

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
    """Three phases: a layer reads rows `at` (n,) of below and changes rows (n,) of its state, hidden and cells (B, D)
    (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, gates in torch's order)."""
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
    """One token through all layers, and the scores after it: the first layer reads below (n, C); rows (n,) of the
    states hidden and cells (L, B, D) are changed. `others` are the matrices of the layers above it, as in `Blocks`."""
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
def activate(y: Any, silu: bool, out: Any) -> None:
    """The activations of y, by SiLU or by GELU (its tanh form), into out (F,): of y (F,), or of the first half of y
    (2 F,), each then multiplied by its number of the second half."""
    size = len(out)
    for d in range(size):
        z = y[d]
        # (1 + tanh(a)) / 2 is the sigmoid of 2 a
        out[d] = z * _sigmoid(z if silu else np.float32(1.5957691216) * (z + np.float32(0.044715) * z * z * z))
    if len(y) > size:
        for d in range(size):
            out[d] *= y[size + d]


@compiled
def rotate(x: Any, cos: Any, sin: Any) -> None:
    """Rotate the pairs of a head's numbers (size,) by the angles of its position, cos and sin (size / 2,), or (0,)
    where nothing is rotated."""
    half = len(cos)
    for d in range(half):
        one, other = x[d], x[half + d]
        x[d] = one * cos[d] - other * sin[d]
        x[half + d] = other * cos[d] + one * sin[d]


@compiled
def head_norm(x: Any, weight: Any, epsilon: float) -> None:
    """The RMS norm of a head's numbers (size,), in their place; none where the weight is (0,)."""
    if len(weight) == 0:
        return
    squares = np.float32(0)
    for d in range(len(x)):
        squares += x[d] * x[d]
    scale = np.float32(1 / math.sqrt(squares / len(x) + epsilon))
    for d in range(len(x)):
        x[d] *= scale * weight[d]


@compiled
def keep(qkv: Any, norm: Any, epsilon: float, cos: Any, sin: Any, kept: Any, column: int) -> None:
    """Keep a token's keys and values, of qkv ((H + 2 K) * size,), in kept (2, K, columns, size), bits of bfloat16;
    `norm` (size,) or (0,) is the weight of the keys' norm."""
    _, kv_heads, _, size = kept.shape
    heads = len(qkv) // size - 2 * kv_heads
    for head in range(kv_heads):
        key = qkv[(heads + head) * size : (heads + head + 1) * size]
        value = qkv[(heads + kv_heads + head) * size : (heads + kv_heads + head + 1) * size]
        head_norm(key, norm, epsilon)
        rotate(key, cos, sin)
        for d in range(size):
            kept[0, head, column, d] = _half(key[d])
            kept[1, head, column, d] = _half(value[d])


@compiled
def attend(query: Any, keys: Any, values: Any, columns: int, read: Any) -> None:
    """The attention of a query (size,) to the first columns of keys and values (columns or more, size), bits of
    bfloat16, into read (size,)."""
    size = len(query)
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
    a matrix is (tiles, scales, offsets, bias), a norm (weight, shift), both (L, 0) where there is none."""

    first: Any
    """The norm of what attention reads."""
    qkv: Any
    query: Any
    key: Any
    """The norms of each head's queries and keys."""
    out: Any
    after_out: Any
    """The norm of what attention adds."""
    second: Any
    """The norm of what the activations read."""
    up: Any
    down: Any
    after_down: Any
    """The norm of what the activations add."""


class Traits(NamedTuple):
    """What the blocks do with their weights."""

    centred: bool
    """Whether norms are layer norms; otherwise they are RMS norms."""
    epsilon: float
    silu: bool
    """For `activate`."""
    width: int
    """The activations of a token."""
    windows: Any
    """(L,) int64: how many of the last tokens a token reads."""
    rotations: Any
    """(L,) int64: the number of its kind of rotation."""


class Room(NamedTuple):
    """Memory for n rows in the blocks."""

    sizes: Any
    """(n,): the size of one level."""
    normed: Any
    """(n, D / 32, 32): levels of what the first and third product of a block read."""
    qkv: Any
    """(n, (H + 2 K) * size)."""
    read: Any
    """(n, H * size): the output of attention."""
    read_levels: Any
    """(n, H * size / 32, 32): levels of `read`."""
    inner: Any
    """(n, F), or (n, 2 F) where gated."""
    inner_levels: Any
    """(n, F / 32, 32): levels of its activations."""
    added: Any
    """(n, D): what is normed before it is added."""


PHASES = 12
"""The phases of a block; see `team`."""


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
def _add(
    board: Any, phase: int, levels: Any, matrix: Any, norm: Any, layer: int, epsilon: float, room: Any, x: Any
) -> None:
    """Two phases: a product is added to x (n, D), after its RMS norm where there is one."""
    if norm[0].shape[1] == 0:
        product(board, phase, levels, room.sizes, _of(matrix, layer), True, x)
        return
    product(board, phase, levels, room.sizes, _of(matrix, layer), False, room.added)
    for row in pieces(board, phase + 1, len(x)):
        normalize(room.added[row], norm[0][layer], norm[1][layer], False, epsilon, room.added[row])
        for d in range(x.shape[1]):
            x[row, d] += room.added[row, d]


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
    traits: Any,
    room: Any,
    last: Any,
    output: Any,
) -> None:
    """New tokens through a decoder, and the scores after some of them. x (n, D), which is written over, is of a token
    in a slot and column each, (n,).

    cos and sin (kinds, n, size / 2) rotate queries and keys, or are (1, n, 0). cache (slots, L, 2, K, columns, size),
    bits of bfloat16, has the keys and values of all earlier tokens of these slots, and gets those of the new ones; a
    token reads those of its slot up to its own column. `last`, the last norm, is (1, D) twice.
    """
    centred, epsilon = traits.centred, traits.epsilon
    kv_heads, size = cache.shape[3], cache.shape[5]
    shared = room.read.shape[1] // size // kv_heads
    everything, width = np.arange(len(x)), traits.width
    for layer in range(cache.shape[1]):
        phase = layer * PHASES
        _norm(board, phase, x, everything, weights.first, layer, centred, epsilon, room.normed, room.sizes)
        product(board, phase + 1, room.normed, room.sizes, _of(weights.qkv, layer), False, room.qkv)
        turn, window = traits.rotations[layer], traits.windows[layer]
        key_norm, query_norm = weights.key[0][layer], weights.query[0][layer]
        for row in pieces(board, phase + 2, len(x)):
            keep(
                room.qkv[row], key_norm, epsilon, cos[turn, row], sin[turn, row], cache[slots[row], layer], columns[row]
            )
        for task in pieces(board, phase + 3, len(x) * kv_heads):
            row, head = task // kv_heads, task % kv_heads
            past = max(columns[row] + 1 - window, 0)
            keys, values = cache[slots[row], layer, 0, head, past:], cache[slots[row], layer, 1, head, past:]
            queries, read = room.qkv[row], room.read[row]
            for first in range(head * shared * size, (head + 1) * shared * size, size):
                query, out = queries[first : first + size], read[first : first + size]
                head_norm(query, query_norm, epsilon)
                rotate(query, cos[turn, row], sin[turn, row])
                attend(query, keys, values, columns[row] + 1 - past, out)
        quantize_all(board, phase + 4, room.read, room.read_levels, room.sizes)
        _add(board, phase + 5, room.read_levels, weights.out, weights.after_out, layer, epsilon, room, x)
        _norm(board, phase + 7, x, everything, weights.second, layer, centred, epsilon, room.normed, room.sizes)
        product(board, phase + 8, room.normed, room.sizes, _of(weights.up, layer), False, room.inner)
        for row in pieces(board, phase + 9, len(x)):
            active = np.empty(width, np.float32)
            activate(room.inner[row], traits.silu, active)
            room.sizes[row] = quantize(active, room.inner_levels[row].reshape(-1))
        _add(board, phase + 10, room.inner_levels, weights.down, weights.after_down, layer, epsilon, room, x)
    phase = cache.shape[1] * PHASES
    _norm(board, phase, x, output.rows, last, 0, centred, epsilon, output.levels, output.sizes)
    product(board, phase + 1, output.levels, output.sizes, output.matrix, False, output.scores)
