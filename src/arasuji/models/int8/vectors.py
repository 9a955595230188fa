"""Products of 8-bit whole numbers by the vectors of the processor, exact: what numba cannot say in loops of its own.

Eight sums of 32 bits are kept side by side; `dot` adds 32 products to them. There are three ways to do so:

    bytes     32 products in one instruction (VNNI), which takes one side without a sign: 128 is added to the levels,
              and taken off again with the sums of the weights
    pairs     twice 16 products of 16-bit numbers, added in pairs (AVX2)
    plain     whatever LLVM makes of 32-bit products, on any processor (NEON among others)

None of them can overflow. The widely used products for AVX2 add pairs of 8-bit products in 16 bits, which saturates:
that of torch (FBGEMM) is off by a fifth on ordinary numbers where the processor has no VNNI. So nothing here calls
torch's quantized engines (FBGEMM, or QNNPACK on ARM, whose levels have 7 bits): all processors run the same loop and
get the same whole numbers.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import models, register_model
from numba.np.arrayobj import make_array

intrinsic: Any = numba.extending.intrinsic
BLOCK = 32
"""Numbers of a row that are multiplied together."""
SUMS = 8


class Sums(types.Type):
    """The type of eight 32-bit sums in a register."""

    def __init__(self) -> None:
        super().__init__("Sums")


SUMS_TYPE = Sums()
VECTOR = ir.VectorType(ir.IntType(32), SUMS)


@register_model(Sums)
class _Register(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def element(context: Any, builder: Any, kind: Any, array: Any, indices: list[Any]) -> Any:
    """Where in memory an array has an element."""
    made = make_array(kind)(context, builder, array)
    shape, strides = (cgutils.unpack_tuple(builder, part) for part in (made.shape, made.strides))
    return cgutils.get_item_pointer2(context, builder, made.data, shape, strides, kind.layout, indices)


def _numbers(
    context: Any, builder: Any, kind: Any, array: Any, place: list[Any], bits: int, part: int, size: int
) -> Any:
    """Load `size` numbers from the start of a block, or from its `part`-th stretch of this size."""
    at = element(context, builder, kind, array, [*place, ir.Constant(ir.IntType(64), part * size)])
    return builder.load(builder.bitcast(at, ir.VectorType(ir.IntType(bits), size).as_pointer()), align=1)


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _bytes(builder: Any, sums: Any, weights: Any, levels: Any) -> Any:
    return _call(builder, "llvm.x86.avx512.vpdpbusd.256", VECTOR, sums, levels(8, 0, 32), weights(0, 32))


def _pairs(builder: Any, sums: Any, weights: Any, levels: Any) -> Any:
    for part in range(2):
        wide = builder.sext(weights(part, 16), ir.VectorType(ir.IntType(16), 16))
        sums = builder.add(sums, _call(builder, "llvm.x86.avx2.pmadd.wd", VECTOR, wide, levels(16, part, 16)))
    return sums


def _plain(builder: Any, sums: Any, weights: Any, levels: Any) -> Any:
    for part in range(4):
        product = builder.mul(builder.sext(weights(part, SUMS), VECTOR), builder.sext(levels(8, part, SUMS), VECTOR))
        sums = builder.add(sums, product)
    return sums


WAYS = {"bytes": (np.uint8, 128), "pairs": (np.int16, 0), "plain": (np.int8, 0)}
"""The type of the levels, by which `dot` knows the way, and what is added to them; the quickest first."""
PRODUCTS = {types.uint8: _bytes, types.int16: _pairs, types.int8: _plain}


def possible() -> list[str]:
    """The ways that the processor has instructions for."""
    features = (numba.config.CPU_FEATURES or get_host_cpu_features()).split(",")  # type: ignore[attr-defined]
    has_bytes = {"+avx512vnni", "+avx512vl"} <= set(features) or "+avxvnni" in features
    return [*(["bytes"] if has_bytes else []), *(["pairs"] if "+avx2" in features else []), "plain"]


@intrinsic
def dot(typing: Any, sums: Any, weights: Any, group: Any, block: Any, column: Any, levels: Any, row: Any) -> Any:
    """Add 32 products to sums: of weights (groups, blocks, columns, 32) int8, and levels (rows, blocks, 32) of a way's
    type."""
    products = PRODUCTS[levels.dtype]

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, weights, group, block, column, levels, row = arguments
        of_weights, of_levels = signature.args[1], signature.args[5]

        def weight(part: int, size: int) -> Any:
            return _numbers(context, builder, of_weights, weights, [group, block, column], 8, part, size)

        def level(bits: int, part: int, size: int) -> Any:
            return _numbers(context, builder, of_levels, levels, [row, block], bits, part, size)

        return products(builder, sums, weight, level)

    return SUMS_TYPE(sums, weights, types.int64, types.int64, types.int64, levels, types.int64), code


@intrinsic
def nothing(typing: Any) -> Any:
    """Eight zeros."""
    return SUMS_TYPE(), lambda context, builder, signature, arguments: ir.Constant(VECTOR, None)


@intrinsic
def store_totals(typing: Any, whole: Any, row: Any, column: Any, s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """Add up each of four, and store the four sums side by side: whole[row, column : column + 4], int32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def halved(a: Any, b: Any) -> Any:
            """Neighbours of a and of b added, as many numbers as one of them had."""
            size = a.type.count
            ends = [[*range(first, size, 2), *range(size + first, 2 * size, 2)] for first in range(2)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), size), end) for end in ends]
            return builder.add(*(builder.shuffle_vector(a, b, mask) for mask in masks))

        whole, row, column, *sums = arguments
        both = halved(halved(sums[0], sums[1]), halved(sums[2], sums[3]))
        neighbours = [ir.Constant(ir.VectorType(ir.IntType(32), 4), list(range(first, SUMS, 2))) for first in range(2)]
        four = builder.add(*(builder.shuffle_vector(both, both, mask) for mask in neighbours))
        at = element(context, builder, signature.args[0], whole, [row, column])
        builder.store(four, builder.bitcast(at, four.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(whole, types.int64, types.int64, s0, s1, s2, s3), code
