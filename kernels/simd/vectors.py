"""Helpers that write LLVM's vector instructions into a kernel."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

LANE_WORDS = 4
"""Words of 32 bits in a lane of 128 bits, the unit within which most of a processor's shuffles work."""


def vector(bits: int, count: int) -> ir.VectorType:
    """Return the type of `count` whole numbers of so many bits."""
    return ir.VectorType(ir.IntType(bits), count)


def numbers(values: list[int]) -> ir.Constant:
    """Return a constant vector of 32-bit numbers, as shuffles take it."""
    return ir.Constant(vector(32, len(values)), values)


def item_pointer(context: Any, builder: Any, sig: Any, args: Any, array: int, index: Any, wanted: ir.VectorType) -> Any:
    """Return a pointer to `wanted` at args[array][index], where args[array] is a one-dimensional array."""
    view = context.make_array(sig.args[array])(context, builder, args[array])
    item = cgutils.get_item_pointer(context, builder, sig.args[array], view, [index], wraparound=False)
    return builder.bitcast(item, wanted.as_pointer())


def splat(builder: Any, number: Any, count: int) -> Any:
    """Return a vector of one number, `count` times."""
    undefined = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, numbers([0] * count))


def pick(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """Return the elements of a and b, numbered through, at some places."""
    return builder.shuffle_vector(a, b, numbers(places))


def interleave(builder: Any, a: Any, b: Any, in_a_lane: int, upper: int) -> Any:
    """Return in turn the elements of a and b in one half of each lane, as the processor's unpacking does."""
    half, count = in_a_lane // 2, a.type.count
    starts = range(half * upper, count, in_a_lane)
    places = [start + i for start in starts for i in range(half)]
    return pick(builder, a, b, [p for place in places for p in (place, count + place)])


def larger(builder: Any, a: Any, b: Any) -> Any:
    """Return the larger of each two unsigned numbers."""
    return builder.select(builder.icmp_unsigned(">", a, b), a, b)


def instruction(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Call an instruction of the processor by LLVM's name."""
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments)


def store_largest_of_lanes(builder: Any, words: Any, place: Any) -> None:
    """Store the largest of each lane of 32-bit words, one behind the other."""
    lanes = range(words.type.count // LANE_WORDS)
    for turned in ([2, 3, 0, 1], [1, 0, 3, 2]):
        turn = pick(builder, words, words, [LANE_WORDS * lane + i for lane in lanes for i in turned])
        words = larger(builder, words, turn)
    builder.store(pick(builder, words, words, [LANE_WORDS * lane for lane in lanes]), place, align=4)


def prefetch_to_write(builder: Any, place: Any) -> None:
    """Bring the cache line of a byte's place near, to be written soon."""
    number = ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    builder.call(function, [place, number(1), number(3), number(1)])
