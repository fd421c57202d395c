"""Sums of four rows of bytes with a weight each, for the 64 blocks of a page.

Rows are interleaved in registers, since processors add neighbouring products: AVX-512 VNNI and AVX-VNNI four products
of bytes at a time, AVX2 and SSE2 (which every x86-64 has) two products of 16 bits. That leaves the sums of a page in
another order than its blocks; the caller keeps them in that order, and only the last step, which looks for the largest,
has to know it. Nothing overflows: a byte times seven bits is below 2¹⁵, and sums have 32 bits, enough for 2¹⁷ terms.
"""

from __future__ import annotations

import numpy as np
from numba import config, types

from lsr.kernels.geometry import PAGE_BLOCKS, PAGE_SUPERBLOCKS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import has_feature, is_x86_64

LANES = 4 if has_feature("avx512vnni") else 2 if has_feature("avx2") else 1
"""Lanes of 16 bytes in a register: a lane holds the blocks of a superblock."""
VNNI = has_feature("avx512vnni") or has_feature("avxvnni")
"""True where one instruction adds four products of bytes: of AVX-512 VNNI, or of AVX-VNNI, half as wide."""
PART_BLOCKS = (
    ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15))
    if VNNI
    else ((0, 2, 4, 6), (1, 3, 5, 7), (8, 10, 12, 14), (9, 11, 13, 15))
)
"""Four registers of sums hold the blocks of LANES superblocks: those that each holds of a lane's superblock."""
PARTS = len(PART_BLOCKS)
REGISTER = 4 * LANES
"""Sums in a register."""


@kernel
def add_dots_plainly(sums, maxima, first, second, third, fourth, four):
    """Add to the sums of a page four weighted rows. The order within it is that of the blocks.

    sums: uint32 (PAGE_BLOCKS). maxima: uint8; first … fourth: where the page begins there in each row. four:
    uint32, a weight of seven bits in each byte, the first row's lowest.
    """
    a, b = maxima[first : first + PAGE_BLOCKS], maxima[second : second + PAGE_BLOCKS]
    c, d = maxima[third : third + PAGE_BLOCKS], maxima[fourth : fourth + PAGE_BLOCKS]
    of_a, of_b = four & np.uint32(127), four >> np.uint32(8) & np.uint32(127)
    of_c, of_d = four >> np.uint32(16) & np.uint32(127), four >> np.uint32(24) & np.uint32(127)
    for i in range(PAGE_BLOCKS):
        sums[i] += of_a * np.uint32(a[i]) + of_b * np.uint32(b[i]) + of_c * np.uint32(c[i]) + of_d * np.uint32(d[i])


@kernel
def largest_of_page_plainly(sums, at, finer, bounds, first, upper_bounds, superblock):
    """Set the four upper_bounds of a page, from `superblock` on, to the largest of (sums << finer) + bounds."""
    for i in range(PAGE_SUPERBLOCKS):
        upper_bound = np.uint32(0)
        for b in range(i * SUPERBLOCK_BLOCKS, (i + 1) * SUPERBLOCK_BLOCKS):
            bound = np.uint32(np.uint32(sums[at + b] << finer) + bounds[first + b])
            upper_bound = bound if bound > upper_bound else upper_bound
        upper_bounds[superblock + i] = upper_bound


@kernel
def largest_of_four_plainly(bounds, first, upper_bounds, superblock):
    """Set the four upper_bounds of a page, from `superblock` on, to the largest of their blocks' bounds."""
    for i in range(PAGE_SUPERBLOCKS):
        upper_bound = np.uint32(0)
        for b in range(first + i * SUPERBLOCK_BLOCKS, first + (i + 1) * SUPERBLOCK_BLOCKS):
            upper_bound = bounds[b] if bounds[b] > upper_bound else upper_bound
        upper_bounds[superblock + i] = upper_bound


@kernel
def add_in_order_plainly(sums, at, finer, out, first):
    """Add (sums << finer) of a page to out[first:], in the order of its bytes."""
    for i in range(PAGE_BLOCKS):
        out[first + i] += sums[at + i] << finer


if config.DISABLE_JIT or not is_x86_64():
    add_dots, largest_of_page = add_dots_plainly, largest_of_page_plainly
    largest_of_four, add_in_order = largest_of_four_plainly, add_in_order_plainly
else:
    from llvmlite import ir
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import (
        instruction,
        interleave,
        item_pointer,
        larger,
        pick,
        splat,
        store_largest_of_lanes,
        vector,
    )

    WORDS, PAIRS, BYTES = vector(32, REGISTER), vector(16, 2 * REGISTER), vector(8, 4 * REGISTER)
    BLOCKS = vector(32, LANES * SUPERBLOCK_BLOCKS)
    UPPER_BOUNDS = vector(32, LANES)

    def _later(builder, index, offset):
        return builder.add(index, index.type(offset)) if offset else index

    def _add_bytes(builder, totals, rows, four):
        """Add four rows to four registers of sums by VNNI: four neighbouring products of bytes at a time."""
        weights = splat(builder, four, REGISTER)
        added = []
        for upper in (0, 1):
            ab, cd = (builder.bitcast(interleave(builder, *two, 16, upper), PAIRS) for two in (rows[:2], rows[2:]))
            for high in (0, 1):
                bytes_of_four = builder.bitcast(interleave(builder, ab, cd, 8, high), WORDS)
                arguments = [totals[len(added)], bytes_of_four, weights]
                added.append(instruction(builder, f"llvm.x86.avx512.vpdpbusd.{128 * LANES}", WORDS, arguments))
        return added

    def _add_pairs(builder, totals, rows, four):
        """Add four rows to four registers of sums: two neighbouring products of 16 bits at a time."""
        name = "llvm.x86.avx2.pmadd.wd" if LANES == 2 else "llvm.x86.sse2.pmadd.wd"
        low_bytes, a_byte = ir.Constant(PAIRS, [255] * PAIRS.count), ir.Constant(PAIRS, [8] * PAIRS.count)

        def two_weights(shift):
            """Return two neighbouring bytes of the weights as 16 bits each, everywhere."""
            low, high = (builder.and_(builder.lshr(four, four.type(shift + n)), four.type(127)) for n in (0, 8))
            return builder.bitcast(splat(builder, builder.or_(low, builder.shl(high, four.type(16))), REGISTER), PAIRS)

        weights, rows = (two_weights(0), two_weights(16)), [builder.bitcast(row, PAIRS) for row in rows]
        added = []
        for upper in (0, 1):
            mixed = [interleave(builder, *two, 8, upper) for two in (rows[:2], rows[2:])]
            for select in (lambda two: builder.and_(two, low_bytes), lambda two: builder.lshr(two, a_byte)):
                dots = [instruction(builder, name, WORDS, [select(m), w]) for m, w in zip(mixed, weights, strict=True)]
                added.append(builder.add(totals[len(added)], builder.add(*dots)))
        return added

    @intrinsic
    def _add_page(typing_context, sums, at, maxima, first, second, third, fourth, four):
        """Add a page of four rows to sums[at:], in the order of PART_BLOCKS."""
        del typing_context
        signature = types.void(sums, types.intp, maxima, *[types.intp] * 4, types.uint32)

        def generate(context, builder, sig, args):
            for turn in range(PAGE_SUPERBLOCKS // LANES):
                starts = [_later(builder, args[i], turn * BYTES.count) for i in (3, 4, 5, 6)]
                rows = [item_pointer(context, builder, sig, args, 2, start, BYTES) for start in starts]
                places = [_later(builder, args[1], (turn * PARTS + part) * REGISTER) for part in range(PARTS)]
                own = [item_pointer(context, builder, sig, args, 0, place, WORDS) for place in places]
                totals = [builder.load(pointer, align=4) for pointer in own]
                add = _add_bytes if VNNI else _add_pairs
                added = add(builder, totals, [builder.load(row, align=1) for row in rows], args[7])
                for total, pointer in zip(added, own, strict=True):
                    builder.store(total, pointer, align=4)
            return context.get_dummy_value()

        return signature, generate

    def _quarters(context, builder, sig, args, array, first, turn):
        """Return four vectors from args[array]: of LANES superblocks, side by side, the blocks 0 … 3, 4 … 7, …"""
        place = _later(builder, first, turn * LANES * SUPERBLOCK_BLOCKS)
        pointer = item_pointer(context, builder, sig, args, array, place, BLOCKS)
        blocks = builder.load(pointer, align=4)
        starts = range(0, LANES * SUPERBLOCK_BLOCKS, SUPERBLOCK_BLOCKS)
        places = [[start + 4 * quarter + i for start in starts for i in range(4)] for quarter in range(4)]
        return [pick(builder, blocks, blocks, own) for own in places]

    @intrinsic
    def largest_of_page(typing_context, sums, at, finer, bounds, first, upper_bounds, superblock):
        """Do what `largest_of_page_plainly` does, for sums in the order of `_add_page`."""
        del typing_context
        signature = types.void(sums, types.intp, types.uint32, bounds, types.intp, upper_bounds, types.intp)

        def generate(context, builder, sig, args):
            finer_by = splat(builder, args[2], REGISTER)
            for turn in range(PAGE_SUPERBLOCKS // LANES):
                quarters = _quarters(context, builder, sig, args, 3, args[4], turn)
                upper_bound = None
                for part, blocks in enumerate(PART_BLOCKS):
                    place = _later(builder, args[1], (turn * PARTS + part) * REGISTER)
                    total = builder.load(item_pointer(context, builder, sig, args, 0, place, WORDS), align=4)
                    # The blocks of a part lie in two neighbouring quarters, or in one.
                    a, b = quarters[blocks[0] // 4], quarters[blocks[3] // 4]
                    within = [block % 4 + (REGISTER if block // 4 != blocks[0] // 4 else 0) for block in blocks]
                    own = pick(builder, a, b, [4 * lane + place for lane in range(LANES) for place in within])
                    bound = builder.add(builder.shl(total, finer_by), own)
                    upper_bound = bound if upper_bound is None else larger(builder, upper_bound, bound)
                place = _later(builder, args[6], turn * LANES)
                pointer = item_pointer(context, builder, sig, args, 5, place, UPPER_BOUNDS)
                store_largest_of_lanes(builder, upper_bound, pointer)
            return context.get_dummy_value()

        return signature, generate

    @intrinsic
    def largest_of_four(typing_context, bounds, first, upper_bounds, superblock):
        """Do what `largest_of_four_plainly` does."""
        del typing_context
        signature = types.void(bounds, types.intp, upper_bounds, types.intp)

        def generate(context, builder, sig, args):
            for turn in range(PAGE_SUPERBLOCKS // LANES):
                quarters = _quarters(context, builder, sig, args, 0, args[1], turn)
                a, b = (larger(builder, *two) for two in (quarters[:2], quarters[2:]))
                place = _later(builder, args[3], turn * LANES)
                pointer = item_pointer(context, builder, sig, args, 2, place, UPPER_BOUNDS)
                store_largest_of_lanes(builder, larger(builder, a, b), pointer)
            return context.get_dummy_value()

        return signature, generate

    @kernel
    def add_in_order(sums, at, finer, out, first):
        """Do what `add_in_order_plainly` does, for sums in the order of `_add_page`."""
        for turn in range(PAGE_SUPERBLOCKS // LANES):
            for lane in range(LANES):
                for part in range(PARTS):
                    for i in range(4):
                        block = (turn * LANES + lane) * SUPERBLOCK_BLOCKS + PART_BLOCKS[part][i]
                        out[first + block] += sums[at + (turn * PARTS + part) * REGISTER + lane * 4 + i] << finer

    @kernel
    def add_dots(sums, maxima, first, second, third, fourth, four):
        """Do what `add_dots_plainly` does, but leave the sums of a page in the order of `_add_page`."""
        _add_page(sums, 0, maxima, first, second, third, fourth, four)
