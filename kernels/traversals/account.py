"""Account of a search: nanoseconds and bytes of each of its steps, for `lsr bench --steps`.

A search is given an account, or None: then its marks compile to nothing.
"""

from __future__ import annotations

import time

import numpy as np
from numba import config, types

from lsr.kernels.geometry import RUN
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.bits import count_ones
from lsr.kernels.simd.packed_runs import run_mask
from lsr.kernels.traversals.query_terms import RARE_SUPERBLOCK

STEPS = (
    "finding the terms",
    "rare terms' postings",
    "bounds of superblocks",
    "choosing the first pages",
    "block bounds of the first",
    "scoring the first",
    "choosing the rest",
    "block bounds of the rest",
    "scoring the rest",
    "clearing",
)
LOOKUP, RARE, COARSE, CHOOSE_FIRST, BOUND_FIRST = range(5)
SCORE_FIRST, CHOOSE_REST, BOUND_REST, SCORE_REST, CLEAR = range(5, 10)
NANOSECONDS, BYTES, ITEMS = range(3)
"""Rows of an account: int64, (3, len(STEPS) + 1).

The last column of the first row has the time of the last mark. Items are the postings, superblocks or pages that a
step went through.
"""

if config.DISABLE_JIT:

    def monotonic_ns():
        """Return the time of a clock that never goes back, in nanoseconds."""
        return time.monotonic_ns()

else:
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def monotonic_ns(typing_context):
        """Return the time of a clock that never goes back, in nanoseconds: int64."""
        del typing_context

        def generate(context, builder, signature, args):
            del context, signature, args
            number, long = ir.IntType(32), ir.IntType(64)
            parts = ir.LiteralStructType([long, long])
            place = cgutils.alloca_once(builder, parts)
            function_type = ir.FunctionType(number, [number, parts.as_pointer()])
            clock = cgutils.get_or_insert_function(builder.module, function_type, "clock_gettime")
            builder.call(clock, [number(time.CLOCK_MONOTONIC), place])
            seconds, rest = (builder.load(cgutils.gep_inbounds(builder, place, 0, i)) for i in (0, 1))
            return builder.add(builder.mul(seconds, long(1_000_000_000)), rest)

        return types.int64(), generate


def new_account() -> np.ndarray:
    """Return an account of nothing yet."""
    return np.zeros((3, len(STEPS) + 1), np.int64)


@kernel
def start_account(account):
    """Start the clock."""
    if account is not None:
        account[0, -1] = monotonic_ns()


@kernel
def mark(account, step, n_items, n_bytes):
    """Count the time since the last mark as that of a step."""
    if account is not None:
        now = monotonic_ns()
        account[0, step] += now - account[0, -1]
        account[1, step] += n_bytes
        account[2, step] += n_items
        account[0, -1] = monotonic_ns()


@kernel
def add_superblock(account, step, postings, query, superblock, places):
    """Count what scoring a superblock had to read, without counting the time that this takes.

    Afterwards: before, it would bring what scoring reads into the cache.
    """
    if account is not None:
        began = monotonic_ns()
        n_bytes = 0
        for row in query.rows:
            n_bytes += 4 * RUN + count_ones(run_mask(postings.runs[row], superblock))
        for i in range(query.rare.size):
            p, stop = postings.rare_start[query.rare[i]], postings.rare_start[query.rare[i] + 1]
            p += np.int64(places[i, superblock])
            while p < stop and np.int64(postings.rare[p] >> RARE_SUPERBLOCK) == superblock:
                n_bytes += 4
                p += 1
        account[1, step] += n_bytes
        account[0, -1] += monotonic_ns() - began
