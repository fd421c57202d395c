"""The run of a frequent term in a superblock: which documents hold it, and their impacts, packed.

A run is described by three words of 32 bits: the mask of the documents that hold the term, its lower
half first, and where their impacts start, counted from the term's first. So the impacts take a byte
a posting, and where the processor has an instruction that spreads packed bytes by a mask (AVX-512
VBMI2), a run is scored in as many instructions whether one document holds the term or all 64 do.
"""

from __future__ import annotations

import numpy as np
from numba import types

from lsr.kernels.geometry import RUN
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.bits import trailing_zeros
from lsr.kernels.simd.cpu_features import has_feature

LANES = 64


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


if not has_feature("avx512vbmi2"):
    add_run = add_run_by_posting
else:
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def add_run(typing_context, scores, first, impacts, start, mask, weight):
        """Add weight · impact to the scores of the documents of a run.

        scores: uint32, of at least first + 64. impacts: uint8, the run's from `start` on, read only as far as
        the mask has bits. mask: uint64. weight: uint32, such that no score overflows.
        """
        del typing_context
        signature = types.void(scores, types.intp, impacts, types.intp, types.uint64, types.uint32)

        def generate(context, builder, sig, args):
            def pointer(array, index, vector):
                array_type = sig.args[array]
                view = context.make_array(array_type)(context, builder, args[array])
                item = cgutils.get_item_pointer(context, builder, array_type, view, [args[index]], wraparound=False)
                return builder.bitcast(item, vector.as_pointer())

            flags, small, wide = (ir.VectorType(ir.IntType(bits), LANES) for bits in (1, 8, 32))
            # Reads no byte beyond the run, which may be the last of a mapped file.
            spread = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(small, [ir.IntType(8).as_pointer(), flags, small]),
                "llvm.masked.expandload.v64i8",
            )
            packed = builder.bitcast(pointer(2, 3, small), ir.IntType(8).as_pointer())
            impact = builder.call(spread, [packed, builder.bitcast(args[4], flags), ir.Constant(small, [0] * LANES)])
            undefined = ir.Constant(wide, ir.Undefined)
            weights = builder.insert_element(undefined, args[5], ir.Constant(ir.IntType(32), 0))
            weights = builder.shuffle_vector(weights, undefined, ir.Constant(wide, [0] * LANES))
            place = pointer(0, 1, wide)
            added = builder.mul(builder.zext(impact, wide), weights)
            builder.store(builder.add(builder.load(place, align=4), added), place, align=4)
            return context.get_dummy_value()

        return signature, generate
