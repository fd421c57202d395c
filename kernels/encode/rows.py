"""Rows of hidden states: embedded, normalised, rounded to bytes, averaged. A row depends on nothing but itself."""

from __future__ import annotations

import numpy as np

from lsr.kernels.encode.integer_tiles import ZERO
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.floats import divide, from_magnitude, magnitude, root, sum_of, sum_of_squares, to_byte

_STEPS = np.float32(127)
_HALF_UP = np.float32(ZERO + 0.5)
_ZERO_BYTE = np.uint8(ZERO)
_ALL_STEPS, _HALF = np.float32(255), np.float32(0.5)
_LARGEST = np.float32(3e38)

GELU_DEPTH = np.float32(0.17)
"""A bound of how far below 0 a gelu goes (.16997): its outputs plus this are never negative."""


@kernel
def round_row(row, factors, out):
    """Round a row times factors to bytes around ZERO and return the scale. row, factors: float32 (n). out: uint8 (n).

    The scale is the largest magnitude / 127, so that every byte is between 1 and 255: 0 for a row of zeros, NaN or
    infinity where the row holds one.
    """
    largest = np.int32(0)
    for j in range(row.size):
        bits = magnitude(row[j] * factors[j])
        largest = bits if bits > largest else largest
    size = from_magnitude(largest)
    if not np.float32(1e-30) < size < _LARGEST:
        out[:] = _ZERO_BYTE
        return size if not size < np.float32(1) else np.float32(0)
    factor = divide(_STEPS, size)
    for j in range(row.size):
        out[j] = to_byte(row[j] * factors[j] * factor + _HALF_UP)
    return divide(size, _STEPS)


@kernel
def round_rows(states, n_rows, size, factors, out, scales):
    """Round rows to bytes. states: float32 (≥ n_rows · size). out: uint8, of its size. scales: float32 (≥ n_rows)."""
    for t in range(n_rows):
        scales[t] = round_row(states[t * size : (t + 1) * size], factors, out[t * size : (t + 1) * size])


@kernel
def round_gelu_rows(states, n_rows, size, factors, out, scales):
    """Round outputs of a gelu, plus GELU_DEPTH and times factors, to bytes from 0 on. That is twice as fine.

    Arguments: as of `round_rows`; factors are above 0. A row's scale is its largest number / 255, NaN or infinity where
    the row holds one. The layer that reads the bytes is packed by `pack.pack_after_gelu`.
    """
    for t in range(n_rows):
        row, target = states[t * size : (t + 1) * size], out[t * size : (t + 1) * size]
        largest = np.int32(0)
        for j in range(size):
            bits = magnitude((row[j] + GELU_DEPTH) * factors[j])
            largest = bits if bits > largest else largest
        span = from_magnitude(largest)
        scales[t] = divide(span, _ALL_STEPS)
        if span < _LARGEST:
            factor = divide(_ALL_STEPS, span)
            for j in range(size):
                target[j] = to_byte((row[j] + GELU_DEPTH) * factors[j] * factor + _HALF)
        else:
            target[:] = _ZERO_BYTE


@kernel
def normalise_row(row, weight, bias, epsilon):
    """Normalise a row in place to mean 0 and variance 1, then scale and shift. All float32 (n), n a multiple of 16.

    Ba, Kiros and Hinton, "Layer Normalization" (2016, arXiv:1607.06450).
    """
    n = np.float32(row.size)
    mean = divide(sum_of(row, 0, row.size), n)
    for j in range(row.size):
        row[j] -= mean
    variance = divide(sum_of_squares(row, 0, row.size), n)
    factor = divide(np.float32(1), root(variance + epsilon))
    for j in range(row.size):
        row[j] = row[j] * factor * weight[j] + bias[j]


@kernel
def embed_rows(ids, positions, words, word_scales, of_positions, kind, weight, bias, epsilon, states):
    """Set states, float32 (n · size), to the normalised embeddings of tokens.

    ids, positions: int64 (n). words: int8 or float32 (vocab_size, size) with word_scales, float32 (vocab_size).
    of_positions: float32 (n_positions, size). kind: float32 (size), added to every token.
    """
    size = words.shape[1]
    for t in range(ids.size):
        row = states[t * size : (t + 1) * size]
        of_word, place = words[ids[t]], of_positions[positions[t]]
        scale = word_scales[ids[t]]
        for j in range(size):
            row[j] = np.float32(of_word[j]) * scale + kind[j] + place[j]
        normalise_row(row, weight, bias, epsilon)


@kernel
def normalise_rows(states, n_rows, size, weight, bias, epsilon):
    """Normalise rows in place. Arguments: as of `round_rows` and `normalise_row`."""
    for t in range(n_rows):
        normalise_row(states[t * size : (t + 1) * size], weight, bias, epsilon)


@kernel
def mean_of_rows(states, first, n_rows, size, out):
    """Set out, float32 (size), to the mean of n_rows rows from row `first` on."""
    out[:] = np.float32(0)
    for t in range(first, first + n_rows):
        row = states[t * size : (t + 1) * size]
        for j in range(size):
            out[j] += row[j]
    n = np.float32(n_rows)
    for j in range(size):
        out[j] = divide(out[j], n)


@kernel
def to_unit_length(vector):
    """Bring a vector to unit length in place; one of zeros stays. vector: float32 (n), n a multiple of 16."""
    length = root(sum_of_squares(vector, 0, vector.size))
    if length > np.float32(1e-12):
        for j in range(vector.size):
            vector[j] = divide(vector[j], length)
