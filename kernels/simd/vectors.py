"""Helpers to write vector instructions as LLVM code: addresses of elements, and one number in all lanes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils


def element(context: Any, builder: Any, sig: Any, args: Any, array: int, index: Any, vector: Any) -> Any:
    """Return a pointer, to a vector, to element `index` of the one-dimensional array argument number `array`."""
    array_type = sig.args[array]
    view = context.make_array(array_type)(context, builder, args[array])
    item = cgutils.get_item_pointer(context, builder, array_type, view, [index], wraparound=False)
    return builder.bitcast(item, vector.as_pointer())


def splat(builder: Any, number: Any, vector: Any) -> Any:
    """Return a vector that has a number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, numbers([0] * vector.count))


def numbers(values: list[int]) -> Any:
    """Return a constant vector of 32-bit integers, as masks of shuffles are."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), values)
