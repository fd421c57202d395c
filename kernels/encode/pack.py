"""Packing of weights for the integer tiles: a byte each, a scale a row, in panels of outputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.encode.integer_tiles import PANEL, STEP, ZERO


class PackedLinear(NamedTuple):
    """A linear layer's weights: n_outputs are those that count, the arrays are filled up to whole panels.

    weights: int8, (panels · size / STEP · PANEL · STEP). scales, biases: float32, (panels · PANEL). corrections: int32,
    (panels · PANEL): -ZERO times the sum of an output's weights, which takes ZERO out of the activations again.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    corrections: npt.NDArray[np.int32]
    biases: npt.NDArray[np.float32]
    n_outputs: int
    size: int


def pack_linear(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> PackedLinear:
    """Round weights, float32 (n_outputs, size), to bytes, one scale an output, and pack them.

    size: a multiple of STEP, below 2¹⁶, so that no sum overflows.
    """
    return pack_rounded(*round_weights(weight), bias)


def round_weights(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return each row of weights as bytes from -127 to 127, and the scale of each row."""
    scales = (np.abs(weight).max(1) / np.float32(127)).astype(np.float32)
    return np.rint(weight / np.where(scales > 0, scales, np.float32(1))[:, None]).astype(np.int8), scales


def pack_rounded(
    rounded: npt.NDArray[np.int8], scales: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> PackedLinear:
    """Pack weights that are bytes already, (n_outputs, size), with a scale an output."""
    n_outputs, size = rounded.shape
    n_panels = -(-n_outputs // PANEL)
    whole = np.zeros((n_panels * PANEL, size), np.int8)
    whole[:n_outputs] = rounded
    corrections = -ZERO * whole.sum(1, dtype=np.int32)
    packed = whole.reshape(n_panels, PANEL, size // STEP, STEP).transpose(0, 2, 1, 3)
    return PackedLinear(
        np.ascontiguousarray(packed).reshape(-1),
        _filled(scales, n_panels),
        corrections.astype(np.int32),
        _filled(bias, n_panels),
        n_outputs,
        size,
    )


def _filled(values: npt.NDArray[np.float32], n_panels: int) -> npt.NDArray[np.float32]:
    filled = np.zeros(n_panels * PANEL, np.float32)
    filled[: len(values)] = values
    return filled
