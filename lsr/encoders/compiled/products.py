"""Linear layers of a forward pass, in the numbers of their weights: rows are rounded to bytes where weights are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.weights import Linear, Unpacked
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
from lsr.kernels.encode.screen import (
    N_BOUNDS,
    Screen,
    candidates,
    float_scores_of,
    largest_bounds,
    one_panel,
    round_for_screen,
    scores_of,
    unrounded_rows,
)
from lsr.kernels.encode.vocabulary import largest_scores

Ids = Sequence[int]


class Scored(NamedTuple):
    """Terms of a text that score above 0, ascending: term_ids int32, logits float32."""

    term_ids: npt.NDArray[np.int32]
    logits: Floats


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

        rows: of layer.size numbers. indptr: int64 (n_texts + 1), each text's rows.
        """
        read, starts = self._whole_tiles(layer, rows, indptr)
        if isinstance(layer, FloatLinear):
            scores = np.empty((len(indptr) - 1, len(layer.biases)), np.float32)
            float_largest_scores(read[0], starts, layer, len(layer.biases) // COLUMNS, scores)
            return scores
        assert isinstance(layer, PackedLinear)
        scores = np.empty((len(indptr) - 1, len(layer.biases)), np.float32)
        largest_scores(*read, starts, layer, len(layer.biases) // PANEL, scores)
        return scores

    def above(
        self,
        layer: Linear,
        screen: Screen,
        rows: Floats,
        indptr: npt.NDArray[np.int64],
        least: float,
        ids: Sequence[Ids],
    ) -> list[Scored]:
        """Return the terms of each text whose `largest` is above `least`, or above 0 among its ids, and maybe more.

        All are above 0, ascending. Arguments: as of `largest`. ids: token ids of each text.
        """
        assert not isinstance(layer, Unpacked), "weights are packed before a forward pass"
        read, starts = self._whole_tiles(layer, rows, indptr)
        n, size, width = int(indptr[-1]), len(screen.mean), screen.layer.size
        exact = rows
        if isinstance(layer, PackedLinear):
            exact = np.empty(up_to_tiles(n) * size, np.float32)
            unrounded_rows(self._bytes, self._scales, n, size, exact)
        coordinates = np.empty(up_to_tiles(n) * (width - N_BOUNDS), np.float32)
        float_linear(exact, up_to_tiles(n), screen.projection, coordinates)
        screened, scales = np.zeros(int(starts[-1]) * width, np.uint8), np.empty(len(ids), np.float32)
        round_for_screen(
            exact, coordinates, indptr, starts, screen.mean, width, screen.units, screen.mean_length, screened, scales
        )
        sums = np.empty((len(ids), len(screen.layer.biases)), np.int32)
        largest_bounds(screened, starts, screen.layer, sums)
        found = []
        panel, terms = one_panel(layer), np.empty(screen.layer.n_outputs, np.int32)
        scores = np.empty(len(terms), np.float32)
        for text, of_text in enumerate(ids):
            if np.isfinite(scales[text]):
                always = np.array(of_text, np.int64)
                n_found = candidates(sums[text], scales[text], screen.layer, np.float32(least), always, terms)
                score = float_scores_of if isinstance(layer, FloatLinear) else scores_of
                n_kept = score(terms, n_found, *read, starts[text], starts[text + 1], layer, panel, scores)
            else:
                terms[0], scores[0], n_kept = 0, np.inf, 1
            found.append(Scored(terms[:n_kept].copy(), scores[:n_kept].copy()))
        return found

    def _whole_tiles(
        self, layer: Linear, rows: Floats, indptr: npt.NDArray[np.int64]
    ) -> tuple[tuple[npt.NDArray[Any], ...], npt.NDArray[np.int64]]:
        """Return what a layer reads of texts' rows, in whole tiles of each text, and where each text starts.

        A tile mustn't reach into the next text, so each is filled up by its last row: no maximum changes.
        """
        lengths = np.diff(indptr)
        filled = -(-lengths // TILE_ROWS) * TILE_ROWS
        starts = np.concatenate(([0], np.cumsum(filled))).astype(np.int64)
        source = np.arange(starts[-1]) - np.repeat(starts[:-1], filled)
        source = np.minimum(source, np.repeat(lengths - 1, filled)) + np.repeat(indptr[:-1], filled)
        n = int(indptr[-1])
        if isinstance(layer, FloatLinear):
            return (rows[: n * layer.size].reshape(n, layer.size)[source].reshape(-1),), starts
        packed = self._round(layer, rows, n)
        of_rows = self._bytes[: n * packed.size].reshape(n, packed.size)[source].reshape(-1)
        return (of_rows, self._scales[source]), starts

    def _round(self, layer: Linear, rows: Floats, n: int) -> PackedLinear:
        assert isinstance(layer, PackedLinear), "weights are packed before a forward pass"
        round_rows(rows, n, layer.size, layer.factors, self._bytes, self._scales)
        return layer


def up_to_tiles(n_rows: int) -> int:
    """Return the number of rows of whole tiles."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS
