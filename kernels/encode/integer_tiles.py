"""Products of bytes summed in 32 bits, a tile of rows and outputs at a time, and their maximum over rows.

A tile is TILE_ROWS rows of activations times one panel of PANEL outputs. Activations are bytes of a signed number plus
ZERO, weights are signed bytes, four steps of an output side by side (`pack.py`). A sum of up to 2¹⁶ products of
255 · 127 stays below 2³¹, and integers give the same sum in every order, so all instruction sets agree:

- AVX-512 VNNI and AVX-VNNI have an instruction for four products (`vpdpbusd`, which doesn't saturate);
- AVX2 multiplies even and odd bytes as 16-bit numbers (`vpmaddwd`): `vpmaddubsw` would saturate;
- any other processor runs the plain loops.
"""

from __future__ import annotations

import numpy as np
from numba import types

from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import has_feature, target_features

TILE_ROWS, PANEL, STEP = 6, 64, 4
"""Rows of a tile, outputs of a panel, and products that lie side by side."""

ZERO = 128
"""The byte that stands for an activation of 0."""


@kernel
def add_tile_plainly(sums, activations, first, size, weights, panel, corrections, column):
    """Set sums, int32 (TILE_ROWS · PANEL), to the products of a tile of rows and a panel, plus corrections.

    activations: uint8, rows of `size` bytes, a multiple of STEP, the tile's from `first` on. weights: int8, the panel's
    (size / STEP, PANEL, STEP) from `panel` on. corrections: int32, the panel's from `column` on.
    """
    for r in range(TILE_ROWS):
        row = sums[r * PANEL : (r + 1) * PANEL]
        row[:] = corrections[column : column + PANEL]
        for k in range(size):
            value = np.int32(activations[first + r * size + k])
            at = panel + k // STEP * PANEL * STEP + k % STEP
            for j in range(PANEL):
                row[j] += value * np.int32(weights[at + j * STEP])


@kernel
def raise_tile_plainly(largest, at, scales, row, activations, first, size, weights, panel, corrections, column):
    """Raise largest[at:], float32 (PANEL), to the largest scaled sum of a tile's rows.

    scales: float32, of each row, the tile's from `row` on. Other arguments: as of `add_tile_plainly`.
    """
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    add_tile_plainly(sums, activations, first, size, weights, panel, corrections, column)
    for r in range(TILE_ROWS):
        scale = scales[row + r]
        for j in range(PANEL):
            value = np.float32(sums[r * PANEL + j]) * scale
            if value > largest[at + j]:
                largest[at + j] = value


def best_instruction() -> str:
    """Return the name of the fastest instruction set that compiled code may use: a key of SHAPES, or "plain"."""
    if has_feature("avx512vnni") and target_features().get("avx512bw", True):
        return "avx512vnni"
    if has_feature("avxvnni"):
        return "avxvnni"
    return "avx2" if has_feature("avx2") else "plain"


SHAPES = {"avx512vnni": (16, 6, 4), "avxvnni": (8, 3, 4), "avx2": (8, 2, 4)}
"""By instruction set: outputs of a register, and the rows and registers of the sums that are kept in registers."""


def make_tiles(instruction):
    """Return (add_tile, raise_tile), which do what the plain ones do, by an instruction set of SHAPES."""
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import instruction as call_instruction
    from lsr.kernels.simd.vectors import item_pointer, splat

    lanes, n_rows, n_vectors = SHAPES[instruction]
    int16, int32, int64 = (ir.IntType(bits) for bits in (16, 32, 64))
    float32 = ir.FloatType()
    words, floats = ir.VectorType(int32, lanes), ir.VectorType(float32, lanes)
    halves = ir.VectorType(int16, 2 * lanes)

    def constant(value):
        return ir.Constant(halves, [value] * (2 * lanes))

    def split(builder, value, widen):
        """Return the even and the odd bytes of a register as 16-bit numbers."""
        value = builder.bitcast(value, halves)
        if not widen:
            return builder.and_(value, constant(255)), builder.lshr(value, constant(8))
        return builder.ashr(builder.shl(value, constant(8)), constant(8)), builder.ashr(value, constant(8))

    def add_products(builder, total, four, weight):
        """Add four products to each lane. four: an activation's four bytes. weight: a register, prepared."""
        if instruction != "avx2":
            name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
            return call_instruction(builder, name, words, [total, splat(builder, four, lanes), weight])
        parts = zip(split(builder, splat(builder, four, lanes), False), weight, strict=True)
        for part, of_weight in parts:
            total = builder.add(total, call_instruction(builder, "llvm.x86.avx2.pmadd.wd", words, [part, of_weight]))
        return total

    def sums_of(builder, context, sig, args, numbers_of, first, size, weights, corrections):
        """Return the sums of n_rows rows and n_vectors registers. numbers_of: places of the arrays in `args`."""
        activations, of_weights, of_corrections = numbers_of
        totals = [[cgutils.alloca_once(builder, words) for _ in range(n_vectors)] for _ in range(n_rows)]
        for v in range(n_vectors):
            index = builder.add(corrections, int64(v * lanes))
            start = builder.load(item_pointer(context, builder, sig, args, of_corrections, index, words), align=4)
            for row in totals:
                builder.store(start, row[v])
        with cgutils.for_range(builder, builder.udiv(size, int64(STEP))) as loop:
            loaded = []
            for v in range(n_vectors):
                index = builder.add(weights, builder.mul(loop.index, int64(PANEL * STEP)))
                index = builder.add(index, int64(v * lanes * STEP))
                value = builder.load(item_pointer(context, builder, sig, args, of_weights, index, words), align=1)
                loaded.append(split(builder, value, True) if instruction == "avx2" else value)
            for r, row in enumerate(totals):
                index = builder.add(first, builder.mul(size, int64(r)))
                index = builder.add(index, builder.mul(loop.index, int64(STEP)))
                four = builder.load(item_pointer(context, builder, sig, args, activations, index, int32), align=1)
                for total, weight in zip(row, loaded, strict=True):
                    builder.store(add_products(builder, builder.load(total), four, weight), total)
        return [[builder.load(total) for total in row] for row in totals]

    @intrinsic
    def add_part(typing_context, sums, at, activations, first, size, weights, panel, corrections, column):
        del typing_context
        place = types.intp
        signature = types.void(sums, place, activations, place, place, weights, place, corrections, place)

        def generate(context, builder, sig, args):
            rows = sums_of(builder, context, sig, args, (2, 5, 7), args[3], args[4], args[6], args[8])
            for r, row in enumerate(rows):
                for v, total in enumerate(row):
                    index = builder.add(args[1], int64(r * PANEL + v * lanes))
                    builder.store(total, item_pointer(context, builder, sig, args, 0, index, words), align=4)
            return context.get_dummy_value()

        return signature, generate

    @intrinsic
    def raise_part(
        typing_context, largest, at, scales, row, activations, first, size, weights, panel, corrections, column
    ):
        del typing_context
        place = types.intp
        signature = types.void(
            largest, place, scales, place, activations, place, place, weights, place, corrections, place
        )

        def generate(context, builder, sig, args):
            rows = sums_of(builder, context, sig, args, (4, 7, 9), args[5], args[6], args[8], args[10])
            for v in range(n_vectors):
                place = item_pointer(context, builder, sig, args, 0, builder.add(args[1], int64(v * lanes)), floats)
                found = builder.load(place, align=4)
                for r, row in enumerate(rows):
                    index = builder.add(args[3], int64(r))
                    scale = builder.load(item_pointer(context, builder, sig, args, 2, index, float32), align=4)
                    value = builder.fmul(builder.sitofp(row[v], floats), splat(builder, scale, lanes))
                    found = builder.select(builder.fcmp_ordered(">", value, found), value, found)
                builder.store(found, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    width = lanes * n_vectors

    def add_tile(sums, activations, first, size, weights, panel, corrections, column):
        for r in range(0, TILE_ROWS, n_rows):
            for j in range(0, PANEL, width):
                add_part(
                    sums, r * PANEL + j, activations, first + r * size, size, weights, panel + j * STEP,
                    corrections, column + j,
                )  # fmt: skip

    def raise_tile(largest, at, scales, row, activations, first, size, weights, panel, corrections, column):
        for r in range(0, TILE_ROWS, n_rows):
            for j in range(0, PANEL, width):
                raise_part(
                    largest, at + j, scales, row + r, activations, first + r * size, size, weights, panel + j * STEP,
                    corrections, column + j,
                )  # fmt: skip

    return kernel(add_tile), kernel(raise_tile)


if best_instruction() == "plain":
    add_tile, raise_tile = add_tile_plainly, raise_tile_plainly
else:
    add_tile, raise_tile = make_tiles(best_instruction())
