"""Products of rows with 8-bit matrices; on CPUs only.

numba compiles these loops, and those of `kernels`, for the processor they run on: seconds at the first use after
installing, later none. Each function with `board` is a loop that threads share (see `team`).

A row that a matrix is multiplied with is kept as whole numbers, `levels`; one level stands for `size` (see `matrix`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.codegen import get_host_cpu_features

from arasuji.models.int8 import vectors
from arasuji.models.int8.team import pieces
from arasuji.models.int8.vectors import BLOCK, WAYS, dot, nothing, store_totals

LARGEST = 127
COLUMNS = 4
"""Columns of a product that are computed together: 4 rows of the matrix lie side by side. They are multiplied with 4
rows of the other factor at a time, since more than 16 sums would not fit in the registers."""
NEAR = 32
"""Rows of the other factor that are multiplied with one piece of the matrix before the next rows are, so that the piece
stays in the cache."""
PIECE_BYTES = 2**16
"""Bytes of a matrix that a thread takes at a time. One row is multiplied with them within microseconds."""
LOOPS = ("product", "kernels", "team")
"""Files of this folder with compiled functions."""


def _kept() -> bool:
    """Whether there is a folder where what was compiled can be kept, beside this file or in the user's cache, and where
    nobody else can write: numba unpickles and runs what it finds there."""
    try:
        folder = Path(str(numba.njit(cache=True)(_kept).stats.cache_path))
        if not _is_private(folder):
            return False
    except (RuntimeError, OSError):
        return False
    _forget_others(folder)
    return True


def _is_private(folder: Path) -> bool:
    """Whether a folder is this user's, or of who has installed this file, and only its owner can write into it (or the
    owner's group, where that is called as its only member). This user's own folder is made so while it is empty."""
    if os.name == "nt":  # the folders that numba takes are private to a user there
        return True
    found = folder.stat()
    if found.st_uid not in (os.getuid(), Path(__file__).stat().st_uid):
        return False
    if not _shared(found):
        return True
    if found.st_uid != os.getuid() or any(folder.glob("*.nb?")):
        return False
    folder.chmod(stat.S_IMODE(found.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))
    return not any(folder.glob("*.nb?"))


def _shared(found: os.stat_result) -> bool:
    """Whether others than the owner can write into a folder."""
    import grp
    import pwd

    try:
        own_group = grp.getgrgid(found.st_gid).gr_name == pwd.getpwuid(found.st_uid).pw_name
    except KeyError:  # a user or a group without a name
        own_group = False
    return bool(found.st_mode & (stat.S_IWOTH if own_group else stat.S_IWOTH | stat.S_IWGRP))


def _forget_others(folder: Path) -> None:
    """Remove what was compiled of other versions: numba looks at the file of a function alone, and not at those of the
    functions that became part of it."""
    sources = sorted(path for path in Path(__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    mark = folder / "loops.sha256"
    with suppress(OSError):
        if mark.exists() and mark.read_text() == version:
            return
        for name in LOOPS:
            for path in folder.glob(f"{name}.*.nb?"):
                path.unlink(missing_ok=True)
        mark.write_text(version)


def _whole_vectors() -> None:
    """Let numba use whole vectors in all its loops of this process: by default LLVM uses half of those of an Intel
    processor, and a loop then reads memory at three quarters of its speed."""
    features = get_host_cpu_features()
    if numba.config.CPU_FEATURES is None and "+avx512bw" in features:  # type: ignore[attr-defined]
        numba.config.CPU_FEATURES = f"{features},-prefer-256-bit"  # type: ignore[attr-defined]


_whole_vectors()
exactly: Any = partial(numba.njit, nogil=True, error_model="numpy", fastmath=False, cache=_kept())
"""Sums and products are taken in the order in which they are written: the same for a row alone and for one among
others. Where nothing is said of fast math, numba takes that of the function that calls first, and this says so for all
processes that find the result in the cache. Divisions are not checked for zero, as Python does: a loop that checks them
cannot use vectors."""
FAST = {"nnan", "ninf", "nsz", "reassoc", "contract"}
"""All of LLVM's fast math but reciprocals and other estimates: it takes them for whole vectors only, so that a number
would depend on where it stands."""
compiled: Any = partial(exactly, fastmath=FAST)

NOTHING = np.float32(1e-30)
"""A row of smaller numbers counts as zeros, since what divides it would not fit in float32."""


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
    kind, added = WAYS[way]
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


def proved() -> str:
    """The quickest way to add up products that is exact on this machine."""
    for way in vectors.possible():
        if exact(multiply, way):
            return way
    raise AssertionError("products of whole numbers are not exact on this processor")


WAY = proved()
LEVEL, ADDED = WAYS[WAY]


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
