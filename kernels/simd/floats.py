"""Steps of float32 arithmetic that Numba lacks or refuses to vectorise, each correctly rounded on every processor.

Numba's own division checks for 0 and raises, which keeps loops from being vectorised; its conversions go by way of 64
bits. Sums run in LANES lanes, then halve: the same order, and so the same bits, for registers of every width.
"""

from __future__ import annotations

import numpy as np
from numba import config, types

LANES = 16
"""Lanes of a sum; rows have a multiple of it."""

if config.DISABLE_JIT:

    def divide(a, b):
        """Return a / b: infinity or NaN for b of 0."""
        with np.errstate(all="ignore"):
            return np.float32(np.float32(a) / np.float32(b))

    def root(a):
        """Return the square root."""
        return np.sqrt(np.float32(a))

    def floor(a):
        """Return the largest whole number that isn't larger, as float32."""
        return np.floor(np.float32(a))

    def power_of_two(n):
        """Return 2ⁿ of a whole float32 from -126 to 127."""
        return np.array((np.int32(n) + np.int32(127)) << np.int32(23), np.int32).view(np.float32)[()]

    def magnitude(a):
        """Return the bits of |a| as int32: in the order of the numbers, NaN above all."""
        return np.array(a, np.float32).view(np.int32)[()] & np.int32(0x7FFFFFFF)

    def from_magnitude(bits):
        """Return the float32 of bits."""
        return np.array(bits, np.int32).view(np.float32)[()]

    def to_byte(a):
        """Return a float32 from 0 to 255, cut to a whole number, as uint8."""
        return np.uint8(np.int32(a)) if np.isfinite(a) else np.uint8(0)

    def _reduced(values, join):
        lanes = values[:LANES].copy()
        for i in range(LANES, len(values), LANES):
            lanes = join(lanes, values[i : i + LANES])
        while len(lanes) > 1:
            lanes = join(lanes[: len(lanes) // 2], lanes[len(lanes) // 2 :])
        return lanes[0]

    def sum_of(values, first, n):
        """Return the sum of values[first : first + n], n a multiple of LANES."""
        return _reduced(values[first : first + n], np.add)

    def sum_of_squares(values, first, n):
        """Return the sum of the squares of values[first : first + n], n a multiple of LANES."""
        return _reduced(np.square(values[first : first + n]), np.add)

    def largest_of(values, first, n):
        """Return the largest of values[first : first + n], n a multiple of LANES, none of them NaN."""
        return _reduced(values[first : first + n], np.maximum)

else:
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import item_pointer, pick

    _INT32, _FLOAT = ir.IntType(32), ir.FloatType()
    _LANES = ir.VectorType(_FLOAT, LANES)

    @intrinsic
    def divide(typing_context, a, b):
        """Return a / b of float32: infinity or NaN for b of 0."""
        del typing_context
        return types.float32(types.float32, types.float32), lambda context, builder, sig, args: builder.fdiv(*args)

    def _called(builder, name, value):
        function = ir.FunctionType(_FLOAT, [_FLOAT])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [value])

    @intrinsic
    def root(typing_context, a):
        """Return the square root of a float32."""
        del typing_context
        return types.float32(types.float32), lambda context, builder, sig, args: _called(
            builder, "llvm.sqrt.f32", args[0]
        )

    @intrinsic
    def floor(typing_context, a):
        """Return the largest whole number that isn't larger, as float32."""
        del typing_context
        return types.float32(types.float32), lambda context, builder, sig, args: _called(
            builder, "llvm.floor.f32", args[0]
        )

    @intrinsic
    def power_of_two(typing_context, n):
        """Return 2ⁿ of a whole float32 from -126 to 127."""
        del typing_context

        def generate(context, builder, sig, args):
            exponent = builder.add(builder.fptosi(args[0], _INT32), _INT32(127))
            return builder.bitcast(builder.shl(exponent, _INT32(23)), _FLOAT)

        return types.float32(types.float32), generate

    @intrinsic
    def magnitude(typing_context, a):
        """Return the bits of |a| as int32: in the order of the numbers, NaN above all."""
        del typing_context
        return types.int32(types.float32), lambda context, builder, sig, args: builder.and_(
            builder.bitcast(args[0], _INT32), _INT32(0x7FFFFFFF)
        )

    @intrinsic
    def from_magnitude(typing_context, bits):
        """Return the float32 of bits."""
        del typing_context
        return types.float32(types.int32), lambda context, builder, sig, args: builder.bitcast(args[0], _FLOAT)

    @intrinsic
    def to_byte(typing_context, a):
        """Return a float32 from 0 to 255, cut to a whole number, as uint8."""
        del typing_context
        return types.uint8(types.float32), lambda context, builder, sig, args: builder.trunc(
            builder.fptosi(args[0], _INT32), ir.IntType(8)
        )

    def _reduction(prepare, join):
        """Return an intrinsic that joins prepared values lane by lane, then the lanes, half to half."""

        @intrinsic
        def reduce(typing_context, values, first, n):
            del typing_context

            def generate(context, builder, sig, args):
                def load(index):
                    place = item_pointer(context, builder, sig, args, 0, builder.add(args[1], index), _LANES)
                    return prepare(builder, builder.load(place, align=4))

                total = cgutils.alloca_once(builder, _LANES)
                builder.store(load(ir.IntType(64)(0)), total)
                step = ir.IntType(64)(LANES)
                with cgutils.for_range_slice(builder, step, args[2], step, inc=True) as (index, _):
                    builder.store(join(builder, builder.load(total), load(index)), total)
                lanes = builder.load(total)
                half = LANES // 2
                while half:
                    low, high = (list(range(start, start + half)) for start in (0, half))
                    lanes = join(builder, pick(builder, lanes, lanes, low), pick(builder, lanes, lanes, high))
                    half //= 2
                return builder.extract_element(lanes, _INT32(0))

            return types.float32(values, types.intp, types.intp), generate

        return reduce

    def _add(builder, a, b):
        return builder.fadd(a, b)

    def _larger(builder, a, b):
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    sum_of = _reduction(lambda builder, value: value, _add)
    sum_of_squares = _reduction(lambda builder, value: builder.fmul(value, value), _add)
    largest_of = _reduction(lambda builder, value: value, _larger)
