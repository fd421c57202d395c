"""The bounds of a page's four superblocks, lowered by four terms' maxima of their blocks."""

from __future__ import annotations

import numpy as np
from numba import config, types

from lsr.kernels.geometry import PAGE_SUPERBLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import is_x86_64


@kernel
def lower_bounds_plainly(
    rest, at, maxima, first, second, third, fourth, four, finer, largest, upper_bounds, superblock, threshold
):
    """Set those of four bounds that reach the threshold to the largest of blocks and the rest.

    rest: uint32, bounds of the page's superblocks by the terms that remain, from `at` on: what four weighted rows add
    to them is subtracted first, shifted by `finer`. maxima: uint8, of superblocks, where the rows' four begin at
    `first` … `fourth`. four: uint32, a weight of seven bits in each byte, the first row's lowest. largest: uint32,
    (4), of the sums of blocks. upper_bounds: uint32, the four from `superblock` on. threshold: uint32, at least 1.
    Returns whether any of the four still reaches it.
    """
    of_a, of_b = four & np.uint32(127), four >> np.uint32(8) & np.uint32(127)
    of_c, of_d = four >> np.uint32(16) & np.uint32(127), four >> np.uint32(24) & np.uint32(127)
    is_left = False
    for i in range(PAGE_SUPERBLOCKS):
        ab = of_a * np.uint32(maxima[first + i]) + of_b * np.uint32(maxima[second + i])
        total = np.uint32(ab + of_c * np.uint32(maxima[third + i]) + of_d * np.uint32(maxima[fourth + i]))
        rest[at + i] -= np.uint32(total << finer)
        if upper_bounds[superblock + i] >= threshold:
            bound = np.uint32(largest[i] + rest[at + i])
            upper_bounds[superblock + i] = bound
            is_left |= bound >= threshold
    return is_left


if config.DISABLE_JIT or not is_x86_64():
    lower_bounds = lower_bounds_plainly
else:
    from llvmlite import ir
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import item_pointer, splat, vector

    BYTES, WORDS = vector(8, PAGE_SUPERBLOCKS), vector(32, PAGE_SUPERBLOCKS)

    @intrinsic
    def lower_bounds(
        typing_context,
        rest,
        at,
        maxima,
        first,
        second,
        third,
        fourth,
        four,
        finer,
        largest,
        upper_bounds,
        superblock,
        threshold,
    ):
        """Do what `lower_bounds_plainly` does, for all four at once."""
        del typing_context, at, first, second, third, fourth, four, finer, superblock, threshold
        starts = [types.intp] * 4
        signature = types.boolean(
            rest,
            types.intp,
            maxima,
            *starts,
            types.uint32,
            types.uint32,
            largest,
            upper_bounds,
            types.intp,
            types.uint32,
        )

        def generate(context, builder, sig, args):
            def words_at(array, index):
                return item_pointer(context, builder, sig, args, array, index, WORDS)

            total = ir.Constant(WORDS, [0] * PAGE_SUPERBLOCKS)
            for i in range(4):
                own = builder.load(item_pointer(context, builder, sig, args, 2, args[3 + i], BYTES), align=1)
                weight = builder.and_(builder.lshr(args[7], args[7].type(8 * i)), args[7].type(127))
                dot = builder.mul(builder.zext(own, WORDS), splat(builder, weight, PAGE_SUPERBLOCKS))
                total = builder.add(total, dot)
            place = words_at(0, args[1])
            taken = builder.shl(total, splat(builder, args[8], PAGE_SUPERBLOCKS))
            left = builder.sub(builder.load(place, align=4), taken)
            builder.store(left, place, align=4)
            bound = builder.add(builder.load(words_at(9, args[1].type(0)), align=4), left)
            place = words_at(10, args[11])
            before, least = builder.load(place, align=4), splat(builder, args[12], PAGE_SUPERBLOCKS)
            reached = builder.icmp_unsigned(">=", before, least)
            builder.store(builder.select(reached, bound, before), place, align=4)
            left_over = builder.and_(reached, builder.icmp_unsigned(">=", bound, least))
            flags = builder.bitcast(left_over, ir.IntType(PAGE_SUPERBLOCKS))
            return builder.icmp_unsigned("!=", flags, flags.type(0))

        return signature, generate
