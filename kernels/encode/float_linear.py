"""Linear layers and the vocabulary head in float32, every sum in the order of its steps."""

from __future__ import annotations

import numpy as np

from lsr.kernels.encode.float_tiles import COLUMNS, FLOAT_ROWS, multiply_tile
from lsr.kernels.encode.functions import gelu
from lsr.kernels.jit.compile import kernel


@kernel
def float_linear(rows, n_rows, layer, out):
    """Set out, float32 (n_rows · n_outputs), to a layer's outputs.

    rows: float32 (n_rows · size). n_rows: a multiple of FLOAT_ROWS. layer: a `FloatLinear` whose n_outputs is a
    multiple of COLUMNS.
    """
    width = layer.n_outputs
    for column in range(0, width, COLUMNS):
        biases = layer.biases[column : column + COLUMNS]
        for row in range(0, n_rows, FLOAT_ROWS):
            _multiply(out, row * width + column, width, rows, row, layer, column)
            for r in range(row, row + FLOAT_ROWS):
                target = out[r * width + column : r * width + column + COLUMNS]
                for j in range(COLUMNS):
                    target[j] += biases[j]


@kernel
def float_linear_and_gelu(rows, n_rows, layer, out):
    """Do what `float_linear` does, and put gelu on top."""
    float_linear(rows, n_rows, layer, out)
    for j in range(n_rows * layer.n_outputs):
        out[j] = gelu(out[j])


@kernel
def float_linear_onto(rows, n_rows, layer, states):
    """Do what `float_linear` does, but add the outputs to states: a residual connection."""
    width = layer.n_outputs
    tile = np.empty(FLOAT_ROWS * COLUMNS, np.float32)
    for column in range(0, width, COLUMNS):
        biases = layer.biases[column : column + COLUMNS]
        for row in range(0, n_rows, FLOAT_ROWS):
            _multiply(tile, 0, COLUMNS, rows, row, layer, column)
            for r in range(FLOAT_ROWS):
                target = states[(row + r) * width + column : (row + r) * width + column + COLUMNS]
                of_tile = tile[r * COLUMNS : (r + 1) * COLUMNS]
                for j in range(COLUMNS):
                    target[j] += of_tile[j] + biases[j]


@kernel
def float_largest_scores(rows, indptr, layer, n_scored, scores):
    """Do what `vocabulary.largest_scores` does, in float32. rows: float32. n_scored: number of panels of COLUMNS."""
    tile = np.empty(FLOAT_ROWS * COLUMNS, np.float32)
    for panel in range(n_scored):
        column = panel * COLUMNS
        biases = layer.biases[column : column + COLUMNS]
        for text in range(indptr.size - 1):
            own = scores[text, column : column + COLUMNS]
            own[:] = np.float32(-np.inf)
            for row in range(indptr[text], indptr[text + 1], FLOAT_ROWS):
                _multiply(tile, 0, COLUMNS, rows, row, layer, column)
                for r in range(FLOAT_ROWS):
                    of_tile = tile[r * COLUMNS : (r + 1) * COLUMNS]
                    for j in range(COLUMNS):
                        own[j] = of_tile[j] if of_tile[j] > own[j] else own[j]
            for j in range(COLUMNS):
                own[j] += biases[j]


@kernel
def _multiply(out, at, width, rows, row, layer, column):
    """Set a tile of out, its rows `width` apart, to the product of FLOAT_ROWS rows and COLUMNS outputs."""
    size = layer.size
    multiply_tile(out, at, width, rows, row * size, size, layer.weights, column * size, COLUMNS, size)
