"""Linear layers on rounded rows: bytes in, float32 out, with what follows them in the same pass over a tile."""

from __future__ import annotations

import numpy as np

from lsr.kernels.encode.functions import gelu
from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS, add_tile
from lsr.kernels.jit.compile import kernel


@kernel
def linear(activations, row_scales, n_rows, layer, out):
    """Set out, float32 (n_rows · n_outputs), to a layer's outputs.

    activations: uint8 (n_rows · size) with row_scales, float32 (n_rows). n_rows: a multiple of TILE_ROWS. layer: a
    `PackedLinear` whose n_outputs is a multiple of PANEL.
    """
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    size, width = layer.size, layer.n_outputs
    for column in range(0, width, PANEL):
        scales, biases = layer.scales[column : column + PANEL], layer.biases[column : column + PANEL]
        for row in range(0, n_rows, TILE_ROWS):
            add_tile(sums, activations, row * size, size, layer.weights, column * size, layer.corrections, column)
            for r in range(TILE_ROWS):
                scale = row_scales[row + r]
                of_row = sums[r * PANEL : (r + 1) * PANEL]
                target = out[(row + r) * width + column : (row + r) * width + column + PANEL]
                for j in range(PANEL):
                    target[j] = np.float32(of_row[j]) * scales[j] * scale + biases[j]


@kernel
def linear_and_gelu(activations, row_scales, n_rows, layer, out):
    """Do what `linear` does, and put gelu on top."""
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    size, width = layer.size, layer.n_outputs
    for column in range(0, width, PANEL):
        scales, biases = layer.scales[column : column + PANEL], layer.biases[column : column + PANEL]
        for row in range(0, n_rows, TILE_ROWS):
            add_tile(sums, activations, row * size, size, layer.weights, column * size, layer.corrections, column)
            for r in range(TILE_ROWS):
                scale = row_scales[row + r]
                of_row = sums[r * PANEL : (r + 1) * PANEL]
                target = out[(row + r) * width + column : (row + r) * width + column + PANEL]
                for j in range(PANEL):
                    target[j] = gelu(np.float32(of_row[j]) * scales[j] * scale + biases[j])


@kernel
def linear_onto(activations, row_scales, n_rows, layer, states):
    """Do what `linear` does, but add the outputs to states: a residual connection."""
    sums = np.empty(TILE_ROWS * PANEL, np.int32)
    size, width = layer.size, layer.n_outputs
    for column in range(0, width, PANEL):
        scales, biases = layer.scales[column : column + PANEL], layer.biases[column : column + PANEL]
        for row in range(0, n_rows, TILE_ROWS):
            add_tile(sums, activations, row * size, size, layer.weights, column * size, layer.corrections, column)
            for r in range(TILE_ROWS):
                scale = row_scales[row + r]
                of_row = sums[r * PANEL : (r + 1) * PANEL]
                target = states[(row + r) * width + column : (row + r) * width + column + PANEL]
                for j in range(PANEL):
                    target[j] += np.float32(of_row[j]) * scales[j] * scale + biases[j]
