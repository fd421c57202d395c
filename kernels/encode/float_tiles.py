"""Matrix products in float32, a tile at a time, with every sum in the order of its steps.

Each product is rounded before it is added. So a sum has the same bits in every tile, in registers of every width, and
in numpy; a fused multiply and add would
save no time where multiplying and adding have separate units, and has no twin in numpy.
"""

from __future__ import annotations

import numpy as np
from numba import types

from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import has_feature

FLOAT_ROWS, COLUMNS = 6, 32
"""Rows and columns of a tile."""


@kernel
def multiply_tile_plainly(out, at, width, a, first, stride, b, start, across, n_steps):
    """Set a tile of out to the product of FLOAT_ROWS rows of a and n_steps rows of COLUMNS of b. All float32.

    The tile's rows are `width` apart in out, from `at` on; a's are `stride` apart from `first` on; b's are `across`
    apart from `start` on.
    """
    for r in range(FLOAT_ROWS):
        row = out[at + r * width : at + r * width + COLUMNS]
        row[:] = np.float32(0)
        for k in range(n_steps):
            value = a[first + r * stride + k]
            of_b = b[start + k * across : start + k * across + COLUMNS]
            for j in range(COLUMNS):
                row[j] += value * of_b[j]


def make_multiply_tile(lanes, n_rows):
    """Return a function that does what `multiply_tile_plainly` does, n_rows rows at a time in registers of lanes."""
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import item_pointer, splat

    int64, number = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(number, lanes)
    n_vectors = COLUMNS // lanes

    @intrinsic
    def multiply_part(typing_context, out, at, width, a, first, stride, b, start, across, n_steps):
        del typing_context
        place = types.intp
        signature = types.void(out, place, place, a, place, place, b, place, place, place)

        def generate(context, builder, sig, args):
            totals = [[cgutils.alloca_once(builder, vector) for _ in range(n_vectors)] for _ in range(n_rows)]
            for row in totals:
                for total in row:
                    builder.store(ir.Constant(vector, [0.0] * lanes), total)
            with cgutils.for_range(builder, args[9]) as loop:
                base = builder.add(args[7], builder.mul(loop.index, args[8]))
                loaded = []
                for v in range(n_vectors):
                    index = builder.add(base, int64(v * lanes))
                    loaded.append(builder.load(item_pointer(context, builder, sig, args, 6, index, vector), align=4))
                for r, row in enumerate(totals):
                    index = builder.add(args[4], builder.add(builder.mul(args[5], int64(r)), loop.index))
                    value = builder.load(item_pointer(context, builder, sig, args, 3, index, number), align=4)
                    value = splat(builder, value, lanes)
                    for total, of_b in zip(row, loaded, strict=True):
                        builder.store(builder.fadd(builder.load(total), builder.fmul(value, of_b)), total)
            for r, row in enumerate(totals):
                for v, total in enumerate(row):
                    index = builder.add(args[1], builder.add(builder.mul(args[2], int64(r)), int64(v * lanes)))
                    target = item_pointer(context, builder, sig, args, 0, index, vector)
                    builder.store(builder.load(total), target, align=4)
            return context.get_dummy_value()

        return signature, generate

    def multiply_tile(out, at, width, a, first, stride, b, start, across, n_steps):
        for r in range(0, FLOAT_ROWS, n_rows):
            multiply_part(out, at + r * width, width, a, first + r * stride, stride, b, start, across, n_steps)

    return kernel(multiply_tile)


if has_feature("avx512vnni"):
    multiply_tile = make_multiply_tile(16, 6)
elif has_feature("avx2"):
    multiply_tile = make_multiply_tile(8, 3)
else:
    multiply_tile = multiply_tile_plainly
