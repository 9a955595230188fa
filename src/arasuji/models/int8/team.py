"""Loops that several threads share: whoever is free takes the next piece, and nobody waits for a thread.

A loop is compiled once and run by all threads of a team at the same time. It is a row of phases, and each phase is cut
into pieces. A board counts, for each phase, the pieces that were taken and those that are done; a phase ends when all
its pieces are done. So a thread that the system has stopped holds up one small piece at most, and one that never
starts holds up nothing: the others do its work. Loops that are cut into one equal share a thread lose two thirds of
their speed as soon as one other program is busy.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import types

from arasuji import device
from arasuji.models.int8.vectors import element, intrinsic

TAKEN, DONE, WIDTH = 0, 8, 16
"""Where a phase's two counts stand in its row of the board: apart, since threads that write one cache line wait."""
SPINS = 30000
"""How often a thread looks whether the others are done before it sleeps, for some tens of microseconds, longer than a
piece takes. One that sleeps lets a thread go on that waits for this core."""
BOARD = numba.int64[:, ::1]


def _nap_of_the_system() -> Any:
    """A function of the C library that takes a number and stops the calling thread for the shortest time there is."""
    if os.name == "nt":
        return ctypes.windll.kernel32.Sleep  # type: ignore[attr-defined]
    return ctypes.CDLL(None).usleep


_SYSTEM_NAP = _nap_of_the_system()
llvmlite.binding.add_symbol("arasuji_nap", ctypes.cast(_SYSTEM_NAP, ctypes.c_void_p).value)
_nap: Any = types.ExternalFunction("arasuji_nap", types.int32(types.uint32))


@intrinsic
def _count(context: Any, board: Any, phase: Any, column: Any) -> Any:
    """Add one to a number of the board, and return what it was; what was written before is seen by who reads it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = element(context, builder, signature.args[0], arguments[0], arguments[1:])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(board, types.int64, types.int64), code


@intrinsic
def _look(context: Any, board: Any, phase: Any, column: Any) -> Any:
    """A number of the board as it is now."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(
            element(context, builder, signature.args[0], arguments[0], arguments[1:]), "acquire", 8
        )

    return types.int64(board, types.int64, types.int64), code


@intrinsic
def _uncounted(context: Any, board: Any) -> Any:
    """The board without its count of references: numba never gives back what a generator in a compiled loop holds, so
    each loop would leave its board in memory for ever. The caller of the loop keeps the board."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        array.meminfo, array.parent = (ir.Constant(value.type, None) for value in (array.meminfo, array.parent))
        return array._getvalue()

    return board(board), code


@numba.njit
def pieces(board: Any, phase: int, count: int) -> Any:
    """The numbers below `count` that fall to the calling thread; it ends when all of them are done, by whomever."""
    return _pieces(_uncounted(board), phase, count)


@numba.njit
def _pieces(board: Any, phase: int, count: int) -> Any:
    piece = _count(board, phase, TAKEN)
    while piece < count:
        yield piece
        _count(board, phase, DONE)
        piece = _count(board, phase, TAKEN)
    spins = 0
    while _look(board, phase, DONE) < count:
        spins += 1
        if spins > SPINS:
            _nap(1)


def run(loop: Callable[..., None], phases: int, *arguments: Any) -> None:
    """Run a compiled loop, `loop(board, *arguments)`, with as many threads as torch has. It writes within its pieces
    only, so a thread that comes late finds nothing to do. Any number of threads may call this at the same time."""
    board = np.zeros((phases, WIDTH), np.int64)
    helpers = [_pool.submit(loop, board, *arguments) for _ in range(device.threads() - 1)]
    loop(board, *arguments)
    for helper in helpers:
        helper.cancel()


_pool = ThreadPoolExecutor(os.cpu_count(), "arasuji")
