"""The run of a frequent term in a superblock: the documents that hold it, and their impacts, packed.

A run is described by three words of 32 bits: the mask of the documents that hold the term, its lower half first, and
where their impacts start, counted from the term's first. So the impacts take a byte a posting, and where the processor
spreads packed bytes by a mask, a run is scored in as many instructions whether one document holds the term or all 64
do: AVX-512 VBMI2 in one instruction, AVX2 eight documents at a time by a table of shuffles.
"""

from __future__ import annotations

import numpy as np
from numba import types

from lsr.kernels.geometry import RUN, SUPERBLOCK
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.bits import count_ones, trailing_zeros
from lsr.kernels.simd.cpu_features import has_feature

AT_ONCE = 8
"""Documents whose impacts AVX2 spreads at a time."""


@kernel
def run_mask(runs, superblock):
    """Return the mask of a superblock's run. runs: uint32 (n_superblocks · RUN), of one term."""
    return np.uint64(runs[superblock * RUN]) | np.uint64(runs[superblock * RUN + 1]) << np.uint64(32)


@kernel
def add_run_by_posting(scores, first, impacts, start, mask, weight):
    """Do what `add_run` does, a posting at a time."""
    p = start
    while mask:
        scores[first + trailing_zeros(mask)] += weight * np.uint32(impacts[p])
        mask &= mask - np.uint64(1)
        p += 1


if has_feature("avx512vbmi2"):
    from llvmlite import ir
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import instruction, item_pointer, splat, vector

    @intrinsic
    def add_run(typing_context, scores, first, impacts, start, mask, weight):
        """Add weight · impact to the scores of the documents of a run.

        scores: uint32, of at least first + 64. impacts: uint8, the run's from `start` on, read only as far as
        the mask has bits. mask: uint64. weight: uint32, such that no score overflows.
        """
        del typing_context
        signature = types.void(scores, types.intp, impacts, types.intp, types.uint64, types.uint32)

        def generate(context, builder, sig, args):
            flags, small, wide = (vector(bits, SUPERBLOCK) for bits in (1, 8, 32))
            # Reads no byte beyond the run, which may be the last of a mapped file.
            packed = item_pointer(context, builder, sig, args, 2, args[3], small)
            packed = builder.bitcast(packed, ir.IntType(8).as_pointer())
            arguments = [packed, builder.bitcast(args[4], flags), ir.Constant(small, None)]
            impact = instruction(builder, "llvm.masked.expandload.v64i8", small, arguments)
            place = item_pointer(context, builder, sig, args, 0, args[1], wide)
            added = builder.mul(builder.zext(impact, wide), splat(builder, args[5], SUPERBLOCK))
            builder.store(builder.add(builder.load(place, align=4), added), place, align=4)
            return context.get_dummy_value()

        return signature, generate

elif has_feature("avx2"):
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import instruction, item_pointer, pick, splat, vector

    ZERO = 255

    def _shuffles():
        """Return, for each mask of eight documents, which packed byte each document takes: 256 · 8 bytes."""
        for mask in range(256):
            for document in range(AT_ONCE):
                yield (mask & (1 << document) - 1).bit_count() if mask >> document & 1 else ZERO

    @intrinsic
    def _spread(typing_context, scores, first, impacts, start, mask, weight):
        """Add weight · impact to the scores of eight documents. mask: uint64, of the eight in its lowest bits.

        Reads eight bytes from `start` on, however few the mask has bits.
        """
        del typing_context
        signature = types.void(scores, types.intp, impacts, types.intp, types.uint64, types.uint32)

        def generate(context, builder, sig, args):
            small, whole, wide = vector(8, AT_ONCE), vector(8, 16), vector(32, AT_ONCE)
            table = builder.module.globals.get("lsr.shuffles")
            if table is None:
                array = ir.ArrayType(ir.IntType(8), 256 * AT_ONCE)
                table = cgutils.global_constant(builder, "lsr.shuffles", ir.Constant(array, list(_shuffles())))
            own = builder.and_(args[4], args[4].type(255))
            row = builder.gep(table, [own.type(0), builder.mul(own, own.type(AT_ONCE))])
            shuffle = builder.load(builder.bitcast(row, small.as_pointer()), align=1)
            packed = builder.load(item_pointer(context, builder, sig, args, 2, args[3], small), align=1)
            shuffle, packed = (pick(builder, eight, eight, list(range(8)) * 2) for eight in (shuffle, packed))
            spread = instruction(builder, "llvm.x86.ssse3.pshuf.b.128", whole, [packed, shuffle])
            impact = builder.zext(pick(builder, spread, spread, list(range(AT_ONCE))), wide)
            place = item_pointer(context, builder, sig, args, 0, args[1], wide)
            added = builder.mul(impact, splat(builder, args[5], AT_ONCE))
            builder.store(builder.add(builder.load(place, align=4), added), place, align=4)
            return context.get_dummy_value()

        return signature, generate

    @kernel
    def add_run(scores, first, impacts, start, mask, weight):
        """Do what `add_run` does with AVX-512; where bytes behind the run can't be read, a posting at a time."""
        if start + count_ones(mask) + AT_ONCE > impacts.size:
            add_run_by_posting(scores, first, impacts, start, mask, weight)
            return
        for i in range(0, SUPERBLOCK, AT_ONCE):
            before = count_ones(mask & ((np.uint64(1) << np.uint64(i)) - np.uint64(1)))
            _spread(scores, first + i, impacts, start + before, mask >> np.uint64(i), weight)

else:
    add_run = add_run_by_posting
