"""Limits of a core: operations a second where every number is in a register already."""

from __future__ import annotations

import time
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lsr.kernels.encode.integer_tiles import SHAPES, STEP, best_instruction
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.vectors import instruction as call_instruction
from lsr.kernels.simd.vectors import splat

_CHAINS = 16
_REPEATS = 10_000_000


def integer_limit() -> float | None:
    """Return the operations on bytes a second that a core can do, two for each product; None without VNNI."""
    name = best_instruction()
    if not name.endswith("vnni"):
        return None
    lanes = SHAPES[name][0]
    words = ir.VectorType(ir.IntType(32), lanes)

    def step(builder, total, value):
        value = builder.bitcast(splat(builder, value, lanes), words)
        return call_instruction(builder, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", words, [total, value, value])

    return _rate(_chains(step, words, ir.IntType(32), types.int32), 2 * STEP * lanes)


def float_limit() -> float:
    """Return the operations on float32 a second that a core can do, products and sums apart."""
    lanes = 16 if best_instruction() == "avx512vnni" else 8
    floats = ir.VectorType(ir.FloatType(), lanes)

    def step(builder, total, value):
        value = splat(builder, value, lanes)
        return builder.fadd(builder.fmul(total, value), value)

    return _rate(_chains(step, floats, ir.FloatType(), types.float32), 2 * lanes)


def _chains(step, of_register, of_lane, kind):
    """Return a function (n, value) that takes n steps in each of _CHAINS registers."""

    @intrinsic
    def run(typing_context, n, value):
        del typing_context, n, value

        def generate(_context, builder, _sig, args):
            totals = [cgutils.alloca_once(builder, of_register) for _ in range(_CHAINS)]
            for i, total in enumerate(totals):
                start = of_lane(i) if isinstance(of_lane, ir.IntType) else of_lane(float(i))
                builder.store(splat(builder, start, of_register.count), total)
            with cgutils.for_range(builder, args[0]):
                for total in totals:
                    builder.store(step(builder, builder.load(total), args[1]), total)
            found = builder.extract_element(builder.load(totals[0]), ir.IntType(32)(0))
            for total in totals[1:]:
                lane = builder.extract_element(builder.load(total), ir.IntType(32)(0))
                found = builder.add(found, lane) if isinstance(of_lane, ir.IntType) else builder.fadd(found, lane)
            return found

        return kind(types.intp, kind), generate

    def chains(n, value):
        return run(n, value)

    compiled = kernel(chains)
    one = 1 if isinstance(of_lane, ir.IntType) else 0.5
    return lambda n: compiled(n, kind(one))


def _rate(chains: Callable[[int], object], operations: int) -> float:
    chains(1)
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        chains(_REPEATS)
        best = min(best, time.thread_time() - began)
    return _REPEATS * _CHAINS * operations / best
