"""Sums of four rows of bytes with a weight each, for the 64 blocks of a page: by AVX-512 VNNI where there is one.

That instruction adds four products of bytes at a time, if the four bytes lie side by side. So four rows are
interleaved in registers, which leaves the sums of a page in another order than its blocks; the caller keeps
them in that order, and only the last step, which looks for the largest, has to know it. Products of a byte and
seven bits summed in 32 bits can't overflow below 2¹⁷ terms.
"""

from __future__ import annotations

import numpy as np
from numba import types

from lsr.kernels.geometry import PAGE_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import has_feature
from lsr.kernels.simd.prefetch import prefetch

LANES, LANE_BLOCKS = 4, 16
"""A page's superblocks, and the blocks of each: bytes of a register, and bytes of one of its four lanes."""


@kernel
def add_dots_plainly(sums, n_pages, maxima, starts, four, ahead):
    """Add to sums, page by page, four weighted rows. The order within a page is that of the blocks.

    sums: uint32 (n_pages · PAGE_BLOCKS). maxima: uint8; starts: int64 (4), where the rows begin there. four:
    uint32, a weight of seven bits in each byte, the first row's lowest. ahead: bytes ahead to prefetch.
    """
    for j in range(4):
        weight = four >> np.uint32(8 * j) & np.uint32(255)
        row = maxima[starts[j] : starts[j] + n_pages * PAGE_BLOCKS]
        for i in range(row.size):
            sums[i] += weight * np.uint32(row[i])


@kernel
def largest_of_page_plainly(sums, at, finer, bounds, first, upper_bounds, superblock):
    """Set the four upper_bounds of a page, from `superblock` on, to the largest of (sums << finer) + bounds."""
    for lane in range(LANES):
        upper_bound = np.uint32(0)
        for b in range(lane * LANE_BLOCKS, (lane + 1) * LANE_BLOCKS):
            bound = np.uint32(np.uint32(sums[at + b] << finer) + bounds[first + b])
            upper_bound = bound if bound > upper_bound else upper_bound
        upper_bounds[superblock + lane] = upper_bound


@kernel
def largest_of_four_plainly(bounds, first, upper_bounds, superblock):
    """Set the four upper_bounds of a page, from `superblock` on, to the largest of their blocks' bounds."""
    for lane in range(LANES):
        upper_bound = np.uint32(0)
        for b in range(first + lane * LANE_BLOCKS, first + (lane + 1) * LANE_BLOCKS):
            upper_bound = bounds[b] if bounds[b] > upper_bound else upper_bound
        upper_bounds[superblock + lane] = upper_bound


@kernel
def add_in_order_plainly(sums, at, finer, out, first):
    """Add (sums << finer) of a page to out[first:], in the order of its bytes."""
    for i in range(PAGE_BLOCKS):
        out[first + i] += sums[at + i] << finer


if not has_feature("avx512vnni"):
    add_dots, largest_of_page = add_dots_plainly, largest_of_page_plainly
    largest_of_four, add_in_order = largest_of_four_plainly, add_in_order_plainly
else:
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    WORDS = ir.VectorType(ir.IntType(32), 16)

    def _numbers(values):
        return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), values)

    def _pointer(context, builder, sig, args, array, index, vector):
        view = context.make_array(sig.args[array])(context, builder, args[array])
        item = cgutils.get_item_pointer(context, builder, sig.args[array], view, [index], wraparound=False)
        return builder.bitcast(item, vector.as_pointer())

    def _splat(builder, number):
        undefined = ir.Constant(WORDS, ir.Undefined)
        one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, undefined, _numbers([0] * 16))

    def _interleave(builder, a, b, in_a_lane, upper):
        """Take turns with the elements of one half of each lane, as the processor's unpacking does."""
        half = in_a_lane // 2
        places = [lane * in_a_lane + half * upper + i for lane in range(LANES) for i in range(half)]
        both = [p for place in places for p in (place, LANES * in_a_lane + place)]
        return builder.shuffle_vector(a, b, _numbers(both))

    @intrinsic
    def _add_page(typing_context, sums, at, maxima, first, second, third, fourth, four):
        """Add a page of four rows to sums[at:], in the order that interleaving leaves."""
        del typing_context
        places = [types.intp] * 4
        signature = types.void(sums, types.intp, maxima, *places, types.uint32)

        def generate(context, builder, sig, args):
            small, pairs = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(16), 32)
            rows = [
                builder.load(_pointer(context, builder, sig, args, 2, args[i], small), align=1) for i in (3, 4, 5, 6)
            ]
            dot = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(WORDS, [WORDS] * 3), "llvm.x86.avx512.vpdpbusd.512"
            )
            weights = _splat(builder, args[7])
            base = _pointer(context, builder, sig, args, 0, args[1], WORDS)
            part = 0
            for upper in (0, 1):
                ab = builder.bitcast(_interleave(builder, rows[0], rows[1], 16, upper), pairs)
                cd = builder.bitcast(_interleave(builder, rows[2], rows[3], 16, upper), pairs)
                for high in (0, 1):
                    bytes_of_four = builder.bitcast(_interleave(builder, ab, cd, 8, high), WORDS)
                    place = builder.gep(base, [ir.Constant(ir.IntType(64), part)])
                    added = builder.call(dot, [builder.load(place, align=4), bytes_of_four, weights])
                    builder.store(added, place, align=4)
                    part += 1
            return context.get_dummy_value()

        return signature, generate

    @intrinsic
    def largest_of_page(typing_context, sums, at, finer, bounds, first, upper_bounds, superblock):
        """Do what `largest_of_page_plainly` does, for sums in the order of `_add_page`."""
        del typing_context
        signature = types.void(sums, types.intp, types.uint32, bounds, types.intp, upper_bounds, types.intp)

        def generate(context, builder, sig, args):
            page = ir.VectorType(ir.IntType(32), PAGE_BLOCKS)
            rare = builder.load(_pointer(context, builder, sig, args, 3, args[4], page), align=4)
            finer_by = _splat(builder, args[2])
            base = _pointer(context, builder, sig, args, 0, args[1], WORDS)
            upper_bound = None
            for part in range(4):
                total = builder.load(builder.gep(base, [ir.Constant(ir.IntType(64), part)]), align=4)
                blocks = [lane * LANE_BLOCKS + part * 4 + i for lane in range(LANES) for i in range(4)]
                own = builder.shuffle_vector(rare, ir.Constant(page, ir.Undefined), _numbers(blocks))
                bound = builder.add(builder.shl(total, finer_by), own)
                upper_bound = bound if upper_bound is None else _larger(builder, upper_bound, bound)
            four = ir.VectorType(ir.IntType(32), LANES)
            _store_largest(builder, upper_bound, _pointer(context, builder, sig, args, 5, args[6], four))
            return context.get_dummy_value()

        return signature, generate

    @intrinsic
    def largest_of_four(typing_context, bounds, first, upper_bounds, superblock):
        """Do what `largest_of_four_plainly` does."""
        del typing_context
        signature = types.void(bounds, types.intp, upper_bounds, types.intp)

        def generate(context, builder, sig, args):
            base = _pointer(context, builder, sig, args, 0, args[1], WORDS)
            own = [
                builder.load(builder.gep(base, [ir.Constant(ir.IntType(64), lane)]), align=4) for lane in range(LANES)
            ]

            def halve(a, b, run):
                """Return the larger ones of the two halves of each run of a and b."""
                starts = range(0, 32, run)
                low = [start + i for start in starts for i in range(run // 2)]
                high = [start + i for start in starts for i in range(run // 2, run)]
                return _larger(builder, *(builder.shuffle_vector(a, b, _numbers(half)) for half in (low, high)))

            upper_bound = halve(halve(own[0], own[1], 16), halve(own[2], own[3], 16), 8)
            four = ir.VectorType(ir.IntType(32), LANES)
            _store_largest(builder, upper_bound, _pointer(context, builder, sig, args, 2, args[3], four))
            return context.get_dummy_value()

        return signature, generate

    def _store_largest(builder, upper_bound, place):
        """Store the largest of each four of sixteen numbers."""
        for turned in ([2, 3, 0, 1], [1, 0, 3, 2]):
            others = _numbers([4 * lane + i for lane in range(LANES) for i in turned])
            turn = builder.shuffle_vector(upper_bound, ir.Constant(WORDS, ir.Undefined), others)
            upper_bound = _larger(builder, upper_bound, turn)
        largest = builder.shuffle_vector(upper_bound, ir.Constant(WORDS, ir.Undefined), _numbers([0, 4, 8, 12]))
        builder.store(largest, place, align=4)

    def _larger(builder, a, b):
        return builder.select(builder.icmp_unsigned(">", a, b), a, b)

    @kernel
    def add_in_order(sums, at, finer, out, first):
        """Do what `add_in_order_plainly` does, for sums in the order of `_add_page`."""
        for lane in range(LANES):
            for part in range(4):
                for i in range(4):
                    out[first + lane * LANE_BLOCKS + part * 4 + i] += sums[at + part * 16 + lane * 4 + i] << finer

    @kernel
    def add_dots(sums, n_pages, maxima, starts, four, ahead):
        """Do what `add_dots_plainly` does, but leave the sums of a page in the order of `_add_page`."""
        first, second, third, fourth = starts[0], starts[1], starts[2], starts[3]
        for page in range(n_pages):
            at = page * PAGE_BLOCKS
            prefetch(maxima, first + at + ahead)
            prefetch(maxima, second + at + ahead)
            prefetch(maxima, third + at + ahead)
            prefetch(maxima, fourth + at + ahead)
            _add_page(sums, at, maxima, first + at, second + at, third + at, fourth + at, four)
