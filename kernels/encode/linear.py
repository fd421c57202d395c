"""Linear layers on rounded rows: bytes in, float32 out, with what follows them in the same reading of a tile."""

from __future__ import annotations

from lsr.kernels.encode.functions import short_gelu
from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS, add_tile, set_tile
from lsr.kernels.jit.compile import kernel


@kernel
def linear(activations, row_scales, n_rows, layer, out):
    """Set out, float32 (n_rows · n_outputs), to a layer's outputs.

    activations: uint8 (n_rows · size) with row_scales, float32 (n_rows). n_rows: a multiple of TILE_ROWS. layer: a
    `PackedLinear` whose n_outputs is a multiple of PANEL.
    """
    for column in range(0, layer.n_outputs, PANEL):
        for row in range(0, n_rows, TILE_ROWS):
            set_tile(out, layer.n_outputs, activations, row_scales, row, layer, column)


@kernel
def linear_and_gelu(activations, row_scales, n_rows, layer, out):
    """Do what `linear` does, and put `short_gelu` on top."""
    width = layer.n_outputs
    for column in range(0, width, PANEL):
        for row in range(0, n_rows, TILE_ROWS):
            set_tile(out, width, activations, row_scales, row, layer, column)
            for r in range(row, row + TILE_ROWS):
                target = out[r * width + column : r * width + column + PANEL]
                for j in range(PANEL):
                    target[j] = short_gelu(target[j])


@kernel
def linear_onto(activations, row_scales, n_rows, layer, states):
    """Do what `linear` does, but add the outputs to states: a residual connection."""
    for column in range(0, layer.n_outputs, PANEL):
        for row in range(0, n_rows, TILE_ROWS):
            add_tile(states, layer.n_outputs, activations, row_scales, row, layer, column)
