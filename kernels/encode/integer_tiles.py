"""Products of bytes summed in 32 bits, tile by tile, and their maximum over rows.

A tile is TILE_ROWS rows of activations times one panel of PANEL outputs. Activations are bytes of a signed number plus
ZERO, weights are signed bytes, four steps of an output side by side (`pack.py`). A sum of up to 2¹⁶ products of
255 · 127 stays below 2³¹, and integers give the same sum in every order, so all instruction sets agree:

- AVX-512 VNNI and AVX-VNNI have an instruction for four products (`vpdpbusd`, which doesn't saturate);
- AVX2 multiplies even and odd bytes as 16-bit numbers (`vpmaddwd`): `vpmaddubsw` would saturate;
- any other processor runs the plain loops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types

from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.cpu_features import has_feature, target_features

TILE_ROWS, PANEL, STEP = 6, 64, 4
"""Rows of a tile, outputs of a panel, and products that lie side by side."""

ZERO = 128
"""The byte that stands for an activation of 0."""


@kernel
def sum_tile(sums, activations, first, layer, column):
    """Set sums, int32 (TILE_ROWS · PANEL), to the products of a tile of rows and a panel.

    activations: uint8, rows of layer.size bytes, the tile's from byte `first` on. layer: a `PackedLinear`. column:
    number of the panel's first output.
    """
    size = layer.size
    for r in range(TILE_ROWS):
        row = sums[r * PANEL : (r + 1) * PANEL]
        row[:] = layer.corrections[column : column + PANEL]
        for k in range(size):
            value = np.int32(activations[first + r * size + k])
            at = column * size + k // STEP * PANEL * STEP + k % STEP
            for j in range(PANEL):
                row[j] += value * np.int32(layer.weights[at + j * STEP])


@kernel
def set_tile_plainly(out, width, activations, row_scales, row, layer, column):
    """Set a tile of out, float32 rows of `width`, to sum · scale · row's scale + bias.

    row, column: the tile's first. row_scales: float32, of each row. Other arguments: as of `sum_tile`.
    """
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    sum_tile(sums, activations, row * layer.size, layer, column)
    for r in range(TILE_ROWS):
        scale = row_scales[row + r]
        for j in range(PANEL):
            value = np.float32(sums[r * PANEL + j]) * layer.scales[column + j] * scale
            out[(row + r) * width + column + j] = value + layer.biases[column + j]


@kernel
def add_tile_plainly(out, width, activations, row_scales, row, layer, column):
    """Do what `set_tile_plainly` does, but add the outputs to out."""
    tile = np.empty((row + TILE_ROWS) * width, np.float32)
    set_tile_plainly(tile, width, activations, row_scales, row, layer, column)
    for r in range(row, row + TILE_ROWS):
        for j in range(r * width + column, r * width + column + PANEL):
            out[j] += tile[j]


@kernel
def raise_tile_plainly(largest, activations, row_scales, row, layer, column):
    """Raise largest, float32, from `column` on to the largest sum · row's scale of a tile's rows."""
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    sum_tile(sums, activations, row * layer.size, layer, column)
    for r in range(TILE_ROWS):
        scale = row_scales[row + r]
        for j in range(PANEL):
            value = np.float32(sums[r * PANEL + j]) * scale
            if value > largest[column + j]:
                largest[column + j] = value


@kernel
def raise_sums_tile_plainly(largest, activations, row, layer, column):
    """Raise largest, int32, from `column` on to the largest sum of a tile's rows, without scales."""
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    sum_tile(sums, activations, row * layer.size, layer, column)
    for r in range(TILE_ROWS):
        for j in range(PANEL):
            if sums[r * PANEL + j] > largest[column + j]:
                largest[column + j] = sums[r * PANEL + j]


class Tiles(NamedTuple):
    """The functions on a tile, by one instruction set."""

    set_tile: Any
    add_tile: Any
    raise_tile: Any
    raise_sums_tile: Any


PLAIN = Tiles(set_tile_plainly, add_tile_plainly, raise_tile_plainly, raise_sums_tile_plainly)


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
    """Return what PLAIN has by an instruction set of SHAPES. Numbers are the same, bit for bit."""
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    from lsr.kernels.simd.vectors import instruction as call_instruction
    from lsr.kernels.simd.vectors import item_pointer, prefetch_to_write, splat

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

    def output_part(onto):
        """Return an intrinsic that sets n_rows rows and n_vectors registers of out, or adds to them."""

        @intrinsic
        def part(
            typing_context, out, at, width, activations, first, size, weights, panel, corrections, column,
            row_scales, row, scales, biases,
        ):  # fmt: skip
            del typing_context
            place = types.intp
            signature = types.void(
                out, place, place, activations, place, place, weights, place, corrections, place,
                row_scales, place, scales, biases,
            )  # fmt: skip

            def generate(context, builder, sig, args):
                def load(array, index, kind):
                    return builder.load(item_pointer(context, builder, sig, args, array, index, kind), align=4)

                def target_of(r, v, kind):
                    index = builder.add(args[1], builder.add(builder.mul(args[2], int64(r)), int64(v * lanes)))
                    return item_pointer(context, builder, sig, args, 0, index, kind)

                # Outputs lie in a row each, out of the near caches: they arrive while the sums are made.
                for r in range(n_rows):
                    for v in range(n_vectors):
                        prefetch_to_write(builder, target_of(r, v, ir.IntType(8)))
                rows = sums_of(builder, context, sig, args, (3, 6, 8), args[4], args[5], args[7], args[9])
                columns = [builder.add(args[9], int64(v * lanes)) for v in range(n_vectors)]
                scales, biases = ([load(array, index, floats) for index in columns] for array in (12, 13))
                for r, row in enumerate(rows):
                    scale = splat(builder, load(10, builder.add(args[11], int64(r)), float32), lanes)
                    for v, total in enumerate(row):
                        value = builder.fmul(builder.sitofp(total, floats), scales[v])
                        value = builder.fadd(builder.fmul(value, scale), biases[v])
                        target = target_of(r, v, floats)
                        value = builder.fadd(builder.load(target, align=4), value) if onto else value
                        builder.store(value, target, align=4)
                return context.get_dummy_value()

            return signature, generate

        return part

    set_part, add_part = output_part(False), output_part(True)

    @intrinsic
    def raise_part(typing_context, largest, activations, first, size, weights, panel, corrections, column, scales, row):
        del typing_context
        place = types.intp
        signature = types.void(largest, activations, place, place, weights, place, corrections, place, scales, place)

        def generate(context, builder, sig, args):
            rows = sums_of(builder, context, sig, args, (1, 4, 6), args[2], args[3], args[5], args[7])
            for v in range(n_vectors):
                place = item_pointer(context, builder, sig, args, 0, builder.add(args[7], int64(v * lanes)), floats)
                found = builder.load(place, align=4)
                for r, row in enumerate(rows):
                    index = builder.add(args[9], int64(r))
                    scale = builder.load(item_pointer(context, builder, sig, args, 8, index, float32), align=4)
                    value = builder.fmul(builder.sitofp(row[v], floats), splat(builder, scale, lanes))
                    found = builder.select(builder.fcmp_ordered(">", value, found), value, found)
                builder.store(found, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    @intrinsic
    def raise_sums_part(typing_context, largest, activations, first, size, weights, panel, corrections, column):
        del typing_context
        place = types.intp
        signature = types.void(largest, activations, place, place, weights, place, corrections, place)

        def generate(context, builder, sig, args):
            rows = sums_of(builder, context, sig, args, (1, 4, 6), args[2], args[3], args[5], args[7])
            for v in range(n_vectors):
                place = item_pointer(context, builder, sig, args, 0, builder.add(args[7], int64(v * lanes)), words)
                found = builder.load(place, align=4)
                for row in rows:
                    found = builder.select(builder.icmp_signed(">", row[v], found), row[v], found)
                builder.store(found, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    of_part = lanes * n_vectors

    def set_tile(out, width, activations, row_scales, row, layer, column):
        size = layer.size
        for r in range(row, row + TILE_ROWS, n_rows):
            for j in range(0, PANEL, of_part):
                set_part(
                    out, r * width + column + j, width, activations, r * size, size, layer.weights,
                    column * size + j * STEP, layer.corrections, column + j, row_scales, r, layer.scales, layer.biases,
                )  # fmt: skip

    def add_tile(out, width, activations, row_scales, row, layer, column):
        size = layer.size
        for r in range(row, row + TILE_ROWS, n_rows):
            for j in range(0, PANEL, of_part):
                add_part(
                    out, r * width + column + j, width, activations, r * size, size, layer.weights,
                    column * size + j * STEP, layer.corrections, column + j, row_scales, r, layer.scales, layer.biases,
                )  # fmt: skip

    def raise_tile(largest, activations, row_scales, row, layer, column):
        size = layer.size
        for r in range(row, row + TILE_ROWS, n_rows):
            for j in range(0, PANEL, of_part):
                raise_part(
                    largest, activations, r * size, size, layer.weights, column * size + j * STEP, layer.corrections,
                    column + j, row_scales, r,
                )  # fmt: skip

    def raise_sums_tile(largest, activations, row, layer, column):
        size = layer.size
        for r in range(row, row + TILE_ROWS, n_rows):
            for j in range(0, PANEL, of_part):
                raise_sums_part(
                    largest, activations, r * size, size, layer.weights, column * size + j * STEP, layer.corrections,
                    column + j,
                )  # fmt: skip

    return Tiles(kernel(set_tile), kernel(add_tile), kernel(raise_tile), kernel(raise_sums_tile))


BEST = PLAIN if best_instruction() == "plain" else make_tiles(best_instruction())
set_tile, add_tile, raise_tile, raise_sums_tile = BEST
