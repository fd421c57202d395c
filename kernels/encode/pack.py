"""Packing of weights in panels of outputs: bytes with a scale a row, or float32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL, STEP, ZERO
from lsr.kernels.encode.rows import GELU_DEPTH


class PackedLinear(NamedTuple):
    """A linear layer's weights: n_outputs are those that count, the arrays are filled up to whole panels.

    weights: int8, (panels · size / STEP · PANEL · STEP). scales, biases: float32, (panels · PANEL). corrections: int32,
    (panels · PANEL): -ZERO times the sum of an output's weights, which takes ZERO out of the activations again.
    factors: float32 (size), by which inputs are multiplied before they are rounded.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    corrections: npt.NDArray[np.int32]
    biases: npt.NDArray[np.float32]
    n_outputs: int
    size: int
    factors: npt.NDArray[np.float32]


class FloatLinear(NamedTuple):
    """A linear layer's weights in float32: weights (panels · size · COLUMNS), biases (panels · COLUMNS)."""

    weights: npt.NDArray[np.float32]
    biases: npt.NDArray[np.float32]
    n_outputs: int
    size: int


class Rounded(NamedTuple):
    """A linear layer's weights as bytes, int8 (n_outputs, size), a scale an output, and factors of its inputs."""

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]


def round_weights(weight: npt.NDArray[np.float32], factors: npt.NDArray[np.float32] | None = None) -> Rounded:
    """Round weights, float32 (n_outputs, size), to bytes from -127 to 127, one scale an output.

    factors: float32 (size), by which inputs will be multiplied, so that weights are divided by them (default: ones).
    """
    if factors is None:
        factors = np.ones(weight.shape[1], np.float32)
    weight = weight / factors
    scales = (np.abs(weight).max(1) / np.float32(127)).astype(np.float32)
    rounded = np.rint(weight / np.where(scales > 0, scales, np.float32(1))[:, None]).astype(np.int8)
    return Rounded(rounded, scales, factors)


def unrounded(rounded: Rounded) -> npt.NDArray[np.float32]:
    """Return the weights, float32 (n_outputs, size), that bytes stand for."""
    return rounded.weights * rounded.scales[:, None] * rounded.factors


def pack_linear(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> PackedLinear:
    """Round weights as `round_weights` does, and pack them. size: a multiple of STEP below 2¹⁶: no sum overflows."""
    return pack_rounded(round_weights(weight), bias)


def pack_rounded(rounded: Rounded, bias: npt.NDArray[np.float32]) -> PackedLinear:
    """Pack weights that are bytes already."""
    n_outputs, size = rounded.weights.shape
    n_panels = -(-n_outputs // PANEL)
    whole = np.zeros((n_panels * PANEL, size), np.int8)
    whole[:n_outputs] = rounded.weights
    corrections = -ZERO * whole.sum(1, dtype=np.int32)
    packed = whole.reshape(n_panels, PANEL, size // STEP, STEP).transpose(0, 2, 1, 3)
    return PackedLinear(
        np.ascontiguousarray(packed).reshape(-1),
        _filled(rounded.scales, n_panels * PANEL),
        corrections.astype(np.int32),
        _filled(bias, n_panels * PANEL),
        n_outputs,
        size,
        rounded.factors,
    )


def pack_after_gelu(rounded: Rounded, bias: npt.NDArray[np.float32]) -> PackedLinear:
    """Pack a layer whose inputs are bytes of `rows.round_gelu_rows`: GELU_DEPTH too large, which its biases undo."""
    layer = pack_rounded(rounded, bias)
    too_much = (rounded.weights @ rounded.factors.astype(np.float64) * rounded.scales * GELU_DEPTH).astype(np.float32)
    return layer._replace(
        corrections=np.zeros_like(layer.corrections), biases=_filled(bias - too_much, len(layer.biases))
    )


def pack_floats(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> FloatLinear:
    """Pack weights, float32 (n_outputs, size), as they are."""
    n_outputs, size = weight.shape
    n_panels = -(-n_outputs // COLUMNS)
    whole = np.zeros((n_panels * COLUMNS, size), np.float32)
    whole[:n_outputs] = weight
    packed = np.ascontiguousarray(whole.reshape(n_panels, COLUMNS, size).transpose(0, 2, 1)).reshape(-1)
    return FloatLinear(packed, _filled(bias, n_panels * COLUMNS), n_outputs, size)


def _filled(values: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.float32]:
    filled = np.zeros(n, np.float32)
    filled[: len(values)] = values
    return filled
