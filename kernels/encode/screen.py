"""A screen of the vocabulary head: it leaves out terms that no token of a text scores above 0.

It takes less than half of the head's work. Hidden states h lie close to a mean m and few directions, the rows of Q
(rank × size, orthonormal). With g = h - m, a = Q g, a term's weights w and y = Q w, its score is

    h·w + b = (b + m·w) + a·y + g⊥·w⊥,    g⊥ = g - Qᵀa,    w⊥ = w - Qᵀy,

since the other two products of the parts are 0. a and y are rounded to bytes â and ŷ, so (Cauchy, Schwarz)

    |h·w + b - (b + m·w) - â·ŷ| ≤ |g⊥|·|w⊥| + |a|·|y - ŷ| + |a - â|·|ŷ|,

where all norms are those of the numbers as they are, not of what rounding may do at worst. What float32 adds, in these
steps and in the head itself, is below τ·(|h| + |m|)·|w| with τ = 4·√rank·size·2⁻²⁴: a of |h| + |m| at most
γ·√rank (γ = size·2⁻²⁴, the sum of a product of `size` steps), Q from being orthonormal, and the head's own sums as
much or less each (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1).

A bound is four products of a number of the token and one of the term. Both are rounded up to bytes, and become four
more inputs of the layer: so one integer sum is an upper bound of a score, and the largest over a text's tokens one of
the term's. Only terms whose bound is above 0 are scored. None is missed, so the outcome is that of the whole head.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.encode.float_tiles import COLUMNS, FLOAT_ROWS, multiply_tile
from lsr.kernels.encode.integer_tiles import PANEL, STEP, TILE_ROWS, ZERO, raise_sums_tile, raise_tile
from lsr.kernels.encode.pack import FloatLinear, PackedLinear, Rounded, pack_floats, pack_rounded
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.floats import divide, floor, from_magnitude, magnitude, root, sum_of_squares, to_byte

N_BOUNDS = 4
"""Inputs that bounds take, behind the rank's."""

_ROOM = np.float32(254)
_STEPS = np.float32(127)
_HALF_UP = np.float32(ZERO + 0.5)
_LARGEST = np.float32(1e30)
_UP = np.float32(1.0001)
_SLACK = np.float32(1e-5)
_LOWEST_SUM = np.int32(-(2**31))
_AT_A_TIME = 4096
_MOST_BYTES = np.array([127, 32, 127, 16])
"""The largest byte of each of a term's bounds."""

MOST_DIRECTIONS = 384
"""Largest rank. Up to it |a - â|, at most half a step times √rank, fits a byte in units of |ŷ| / 127, at most √rank."""


class Screen(NamedTuple):
    """The screen of a head.

    projection: Q, with -Q·m as biases. layer: y of all terms and their bounds as bytes, with b + m·w as biases. units:
    float32 (N_BOUNDS), by which a token's bounds are multiplied, as a term's are divided. mean, mean_length: m, |m|.
    """

    projection: FloatLinear
    layer: PackedLinear
    units: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]
    mean_length: np.float32


def make_screen(
    weight: npt.NDArray[np.float32] | Rounded,
    bias: npt.NDArray[np.float32],
    mean: npt.NDArray[np.float32],
    directions: npt.NDArray[np.float32],
) -> Screen:
    """Return the screen of a head with weights (n_terms, size).

    weight: in the numbers that rows are multiplied by; where it is rounded, rows are those times its factors.
    mean: (size). directions: (rank, size), rank a multiple of COLUMNS; made orthonormal here.
    """
    n_terms, size = weight.weights.shape if isinstance(weight, Rounded) else weight.shape
    basis = np.linalg.qr(directions.astype(np.float64).T)[0].T
    rank = len(basis)
    tolerance = 4 * np.sqrt(rank) * size * 2.0**-24
    scales, biases = np.ones(n_terms), np.empty(n_terms)
    rounded = np.zeros((n_terms, rank + N_BOUNDS), np.int8)
    bounds = np.zeros((n_terms, N_BOUNDS))
    for first in range(0, n_terms, _AT_A_TIME):
        part = slice(first, first + _AT_A_TIME)
        of_part = weight.weights[part] * weight.scales[part, None] if isinstance(weight, Rounded) else weight[part]
        w = of_part.astype(np.float64)
        y = w @ basis.T
        largest = np.abs(y).max(1) / 127
        scales[part] = np.where(largest > 0, largest, 1).astype(np.float32)
        steps = np.rint(y / scales[part, None])
        rounded[part, :rank] = steps
        length = np.square(w).sum(1)
        bounds[part, 0] = np.sqrt(np.maximum(length - np.square(y).sum(1), 0))
        bounds[part, 1] = np.sqrt(np.square(y - steps * scales[part, None]).sum(1))
        bounds[part, 2] = np.sqrt(np.square(steps).sum(1)) * scales[part]
        bounds[part, 3] = tolerance * np.sqrt(length)
        biases[part] = bias[part] + w @ mean
    bounds *= _UP / scales[:, None]
    units = np.maximum(bounds.max(0) / _MOST_BYTES, 1e-6) * _UP
    rounded[:, rank:] = np.ceil(bounds / units)
    layer = pack_rounded(
        Rounded(rounded, scales.astype(np.float32), np.ones(rank + N_BOUNDS, np.float32)), biases.astype(np.float32)
    )
    # The bounds' inputs are bytes from 0 on, so that only the rank's are to be corrected.
    corrections = np.zeros_like(layer.corrections)
    corrections[:n_terms] = -ZERO * rounded[:, :rank].sum(1, dtype=np.int32)
    projection = pack_floats(basis.astype(np.float32), (-(basis @ mean.astype(np.float64))).astype(np.float32))
    length_of_mean = np.float32(np.linalg.norm(mean.astype(np.float64)) * _UP)
    return Screen(projection, layer._replace(corrections=corrections), units.astype(np.float32), mean, length_of_mean)


def one_panel(layer: PackedLinear | FloatLinear) -> PackedLinear | FloatLinear:
    """Return a buffer for some outputs of a layer side by side: PANEL, or COLUMNS in float32."""
    if isinstance(layer, FloatLinear):
        return FloatLinear(
            np.zeros(layer.size * COLUMNS, np.float32), np.zeros(COLUMNS, np.float32), COLUMNS, layer.size
        )
    return PackedLinear(
        np.zeros(layer.size * PANEL, np.int8),
        np.zeros(PANEL, np.float32),
        np.zeros(PANEL, np.int32),
        np.zeros(PANEL, np.float32),
        PANEL,
        layer.size,
        layer.factors,
    )


@kernel
def unrounded_rows(activations, row_scales, n_rows, size, rows):
    """Set rows, float32 (n_rows · size), to what bytes of `rows.round_rows` stand for."""
    for t in range(n_rows):
        scale = row_scales[t]
        for j in range(t * size, (t + 1) * size):
            rows[j] = np.float32(np.int32(activations[j]) - np.int32(ZERO)) * scale


@kernel
def round_for_screen(rows, coordinates, indptr, starts, mean, screen_size, units, mean_length, out, scales):
    """Round the coordinates of texts' rows to bytes, with their bounds behind them, one scale a text.

    rows: float32 (n · size). coordinates: float32 (n · rank), outputs of `Screen.projection`. indptr, starts: int64
    (n_texts + 1), each text's rows in these, and in out, where they are multiples of TILE_ROWS, filled up by the last
    one. screen_size: rank + N_BOUNDS. mean, units, mean_length: of the `Screen`. out: uint8. scales: float32 (n_texts),
    infinity for a text with a row that holds NaN or infinity.
    """
    size, rank = mean.size, screen_size - N_BOUNDS
    apart = np.empty(size, np.float32)
    bounds = np.empty((N_BOUNDS, indptr[-1]), np.float32)
    for text in range(indptr.size - 1):
        first, end = indptr[text], indptr[text + 1]
        scale, sound = np.float32(1e-20), True
        for t in range(first, end):
            row = rows[t * size : (t + 1) * size]
            for j in range(size):
                apart[j] = row[j] - mean[j]
            whole, inside = sum_of_squares(apart, 0, size), sum_of_squares(coordinates, t * rank, rank)
            outside = whole - inside if whole > inside else np.float32(0)
            bounds[0, t] = root(outside + whole * _SLACK) * _UP
            bounds[1, t] = root(inside) * _UP
            bounds[3, t] = root(sum_of_squares(rows, t * size, size)) * _UP + mean_length
            largest = np.int32(0)
            for j in range(t * rank, (t + 1) * rank):
                bits = magnitude(coordinates[j])
                largest = bits if bits > largest else largest
            wanted = divide(from_magnitude(largest), _STEPS)
            for bound in (0, 1, 3):
                least = divide(bounds[bound, t] * units[bound], _ROOM)
                wanted = least if least > wanted else wanted
            sound = sound and wanted < _LARGEST  # no comparison holds for NaN
            scale = scale if scale > wanted else wanted
        scales[text] = scale if sound else np.float32(np.inf)
        if not sound:
            continue
        factor = divide(np.float32(1), scale)
        for t in range(first, end):
            target = out[(starts[text] + t - first) * screen_size :]
            lost = np.float32(0)
            for j in range(rank):
                value = coordinates[t * rank + j]
                byte = to_byte(value * factor + _HALF_UP)
                target[j] = byte
                error = value - np.float32(np.int32(byte) - np.int32(ZERO)) * scale
                lost += error * error
            bounds[2, t] = root(lost * _UP) * _UP
            for bound in range(N_BOUNDS):
                up = floor(bounds[bound, t] * units[bound] * factor * _UP) + np.float32(1)
                target[rank + bound] = to_byte(up if up < np.float32(255) else np.float32(255))
        last = (starts[text] + end - 1 - first) * screen_size
        for row in range(starts[text] + end - first, starts[text + 1]):
            for j in range(screen_size):
                out[row * screen_size + j] = out[last + j]


@kernel
def largest_bounds(activations, starts, layer, sums):
    """Set sums, int32 (n_texts, panels · PANEL), to each text's largest bound of each term, in steps.

    activations, starts: of `round_for_screen`.
    """
    for panel in range(layer.scales.size // PANEL):
        column = panel * PANEL
        for text in range(starts.size - 1):
            largest = sums[text]
            largest[column : column + PANEL] = _LOWEST_SUM
            for row in range(starts[text], starts[text + 1], TILE_ROWS):
                raise_sums_tile(largest, activations, row, layer, column)


@kernel
def candidates(sums, scale, layer, least, always, found):
    """Write the terms of a text that may score above `least`, ascending; of those in `always` above 0. Return how many.

    sums: int32 (panels · PANEL), of `largest_bounds`, with the text's scale. always: int64, ids of terms. found: int32.
    """
    n_terms = layer.n_outputs
    may = np.empty(n_terms, np.uint8)
    for j in range(n_terms):
        value = np.float32(sums[j]) * layer.scales[j] * scale
        size = value if value > np.float32(0) else -value
        bias = layer.biases[j]
        size += bias if bias > np.float32(0) else -bias
        may[j] = value + bias + size * _SLACK > least
    for term in always:
        value = np.float32(sums[term]) * layer.scales[term] * scale
        bias = layer.biases[term]
        if value + bias + (abs(value) + abs(bias)) * _SLACK > np.float32(0):
            may[term] = np.uint8(1)
    n = 0
    for j in range(n_terms):
        if may[j]:
            found[n] = j
            n += 1
    return n


@kernel
def scores_of(terms, n, activations, row_scales, first, end, layer, panel, weights):
    """Score some terms of a text by its rows from `first` to `end`; keep those above 0, in place. Return how many.

    terms: int32, n that count, ascending. Rows and layer: as of `vocabulary.largest_scores`, whose numbers these are.
    panel: buffer of `one_panel`. weights: float32, set to the scores.
    """
    size, kept = layer.size, 0
    words, copy = layer.weights.view(np.int32), panel.weights.view(np.int32)
    largest = np.empty(PANEL, np.float32)
    for start in range(0, n, PANEL):
        width = min(PANEL, n - start)
        for j in range(PANEL):
            term = terms[start + min(j, width - 1)]
            source = term // PANEL * PANEL * (size // STEP) + term % PANEL
            for k in range(size // STEP):
                copy[k * PANEL + j] = words[source + k * PANEL]
            panel.corrections[j] = layer.corrections[term]
        largest[:] = np.float32(-np.inf)
        for row in range(first, end, TILE_ROWS):
            raise_tile(largest, activations, row_scales, row, panel, 0)
        for j in range(width):
            term = terms[start + j]
            score = largest[j] * layer.scales[term] + layer.biases[term]
            if score > np.float32(0):
                terms[kept] = term
                weights[kept] = score
                kept += 1
    return kept


@kernel
def float_scores_of(terms, n, rows, first, end, layer, panel, weights):
    """Do what `scores_of` does, in float32: numbers of `float_linear.float_largest_scores`. rows: float32."""
    size, kept = layer.size, 0
    tile, largest = np.empty(FLOAT_ROWS * COLUMNS, np.float32), np.empty(COLUMNS, np.float32)
    for start in range(0, n, COLUMNS):
        width = min(COLUMNS, n - start)
        for j in range(COLUMNS):
            term = terms[start + min(j, width - 1)]
            source = term // COLUMNS * COLUMNS * size + term % COLUMNS
            for k in range(size):
                panel.weights[k * COLUMNS + j] = layer.weights[source + k * COLUMNS]
        largest[:] = np.float32(-np.inf)
        for row in range(first, end, FLOAT_ROWS):
            multiply_tile(tile, 0, COLUMNS, rows, row * size, size, panel.weights, 0, COLUMNS, size)
            for r in range(FLOAT_ROWS):
                for j in range(COLUMNS):
                    value = tile[r * COLUMNS + j]
                    largest[j] = value if value > largest[j] else largest[j]
        for j in range(width):
            term = terms[start + j]
            score = largest[j] + layer.biases[term]
            if score > np.float32(0):
                terms[kept] = term
                weights[kept] = score
                kept += 1
    return kept
