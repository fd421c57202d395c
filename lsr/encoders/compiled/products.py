"""Linear layers of a forward pass, in the numbers of their weights: rows are rounded to bytes where weights are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.weights import Linear
from lsr.encoders.pretrained.mapped_weights import Floats
from lsr.kernels.encode.float_linear import (
    float_largest_scores,
    float_linear,
    float_linear_and_gelu,
    float_linear_onto,
)
from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS
from lsr.kernels.encode.linear import linear, linear_and_gelu, linear_onto
from lsr.kernels.encode.pack import FloatLinear, PackedLinear
from lsr.kernels.encode.rows import round_gelu_rows, round_rows
from lsr.kernels.encode.vocabulary import largest_scores


class Products:
    """Linear layers on at most `n_rows` rows of at most `width` numbers, with one thread's buffers for bytes."""

    def __init__(self, n_rows: int, width: int) -> None:
        self._bytes = np.zeros(up_to_tiles(n_rows) * width, np.uint8)
        self._scales = np.zeros(up_to_tiles(n_rows), np.float32)

    def set(self, layer: Linear, rows: Floats, n: int, out: Floats) -> None:
        """Set out to a layer's outputs of n rows, and of some more up to a whole tile."""
        if isinstance(layer, FloatLinear):
            float_linear(rows, up_to_tiles(n), layer, out)
        else:
            packed = self._round(layer, rows, n)
            linear(self._bytes, self._scales, up_to_tiles(n), packed, out)

    def set_gelu(self, layer: Linear, rows: Floats, n: int, out: Floats) -> None:
        """Set out to gelu of a layer's outputs."""
        if isinstance(layer, FloatLinear):
            float_linear_and_gelu(rows, up_to_tiles(n), layer, out)
        else:
            packed = self._round(layer, rows, n)
            linear_and_gelu(self._bytes, self._scales, up_to_tiles(n), packed, out)

    def add(self, layer: Linear, rows: Floats, n: int, states: Floats, *, after_gelu: bool = False) -> None:
        """Add a layer's outputs to states. after_gelu: whether rows are outputs of `set_gelu`."""
        if isinstance(layer, FloatLinear):
            float_linear_onto(rows, up_to_tiles(n), layer, states)
            return
        if after_gelu:
            assert isinstance(layer, PackedLinear)
            round_gelu_rows(rows, n, layer.size, layer.factors, self._bytes, self._scales)
            packed = layer
        else:
            packed = self._round(layer, rows, n)
        linear_onto(self._bytes, self._scales, up_to_tiles(n), packed, states)

    def largest(self, layer: Linear, rows: Floats, indptr: npt.NDArray[np.int64]) -> Floats:
        """Return the largest output of each text's rows, float32 (n_texts, ≥ n_outputs); the rest is undefined.

        rows: of layer.size numbers. indptr: int64 (n_texts + 1), each text's rows. A tile mustn't reach into the next
        text, so each is filled up by its last row: no maximum changes.
        """
        lengths = np.diff(indptr)
        filled = -(-lengths // TILE_ROWS) * TILE_ROWS
        starts = np.concatenate(([0], np.cumsum(filled))).astype(np.int64)
        source = np.arange(starts[-1]) - np.repeat(starts[:-1], filled)
        source = np.minimum(source, np.repeat(lengths - 1, filled)) + np.repeat(indptr[:-1], filled)
        n, size = int(indptr[-1]), layer.size if isinstance(layer, FloatLinear | PackedLinear) else 0
        if isinstance(layer, FloatLinear):
            width = len(layer.biases)
            scores = np.empty((len(lengths), width), np.float32)
            whole = rows[: n * size].reshape(n, size)[source].reshape(-1)
            float_largest_scores(whole, starts, layer, width // COLUMNS, scores)
            return scores
        packed = self._round(layer, rows, n)
        width = len(packed.biases)
        scores = np.empty((len(lengths), width), np.float32)
        of_rows = self._bytes[: n * size].reshape(n, size)[source].reshape(-1)
        largest_scores(of_rows, self._scales[source], starts, packed, width // PANEL, scores)
        return scores

    def _round(self, layer: Linear, rows: Floats, n: int) -> PackedLinear:
        assert isinstance(layer, PackedLinear), "weights are packed before a forward pass"
        round_rows(rows, n, layer.size, layer.factors, self._bytes, self._scales)
        return layer


def up_to_tiles(n_rows: int) -> int:
    """Return the number of rows of whole tiles."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS
