"""Plain twins of the encoding kernels in numpy: the same steps in the same order, so the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.encode import functions

Floats = npt.NDArray[np.float32]
ONE, HALF = np.float32(1), np.float32(0.5)


def in_lanes(values: Floats, join: Any) -> Floats:
    """Join the last axis in 16 lanes, one register after the other, then the lanes half to half."""
    lanes = values[..., :16].copy()
    for i in range(16, values.shape[-1], 16):
        lanes = join(lanes, values[..., i : i + 16])
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = join(lanes[..., :half], lanes[..., half:])
    joined: Floats = lanes[..., 0]
    return joined


def exponential(x: Floats) -> Floats:
    f = functions
    x = np.maximum(x, f._SMALLEST)
    n = np.floor(x * f._LOG2_E + HALF)
    r = x - n * f._LN_2_HIGH
    r = r - n * f._LN_2_LOW
    p = ((((f._E5 * r + f._E4) * r + f._E3) * r + f._E2) * r + f._E1) * r + f._E0
    powers: Floats = (p * (r * r) + r + ONE) * ((n.astype(np.int32) + 127) << 23).astype(np.int32).view(np.float32)
    return powers


def gelu(x: Floats) -> Floats:
    f = functions
    size = np.abs(x)
    z = size * f._ROOT_HALF
    t = ONE / (ONE + f._P * z)
    p = ((((f._A5 * t + f._A4) * t + f._A3) * t + f._A2) * t + f._A1) * t
    tail = HALF * size * p * exponential(-(z * z))
    return np.where(x > 0, x - tail, -tail)


def short_gelu(x: Floats) -> Floats:
    f = functions
    t = np.clip(x, -f._END, f._END)
    s = np.square(t * f._OF_END)
    p = np.full_like(x, f._G8)
    for coefficient in (f._G7, f._G6, f._G5, f._G4, f._G3, f._G2, f._G1, f._G0):
        p = p * s + coefficient
    found: Floats = x * (t * p + HALF)
    return found


def round_rows(rows: Floats, factors: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    rows = rows * factors
    size = np.abs(rows).max(1)
    factor = np.float32(127) / size
    filled = (rows * factor[:, None] + np.float32(128.5)).astype(np.int32).astype(np.uint8)
    filled[size == 0] = 128
    return filled, np.where(size == 0, np.float32(0), size / np.float32(127))


def round_gelu_rows(rows: Floats, factors: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    lifted = (rows + np.float32(0.17)) * factors
    span = lifted.max(1)
    factor = np.float32(255) / span
    return (lifted * factor[:, None] + HALF).astype(np.int32).astype(np.uint8), span / np.float32(255)


def normalise(rows: Floats, weight: Floats, bias: Floats, epsilon: np.float32) -> Floats:
    n = np.float32(rows.shape[1])
    rows = rows - (in_lanes(rows, np.add) / n)[:, None]
    variance = in_lanes(np.square(rows), np.add) / n
    factor = ONE / np.sqrt(variance + epsilon)
    normalised: Floats = rows * factor[:, None] * weight + bias
    return normalised


def sums(activations: npt.NDArray[np.uint8], rounded: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return the exact products of signed activations and weights."""
    return (activations.astype(np.int64) - 128) @ rounded.astype(np.int64).T


def linear(
    activations: npt.NDArray[np.uint8], row_scales: Floats, rounded: npt.NDArray[np.int8], scales: Floats, bias: Floats
) -> Floats:
    exact = sums(activations, rounded).astype(np.int32).astype(np.float32)
    outputs: Floats = exact * scales * row_scales[:, None] + bias
    return outputs


def multiply(a: Floats, b: Floats) -> Floats:
    """Return a @ b, every sum in the order of its steps."""
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        total = total + a[:, k : k + 1] * b[k]
    return total


def attend(projected: Floats, n_heads: int, distances: Floats | None = None) -> Floats:
    """Return what the tokens of one text attend to. projected: (n_tokens, 3 · size)."""
    n_tokens, size = len(projected), projected.shape[1] // 3
    width = size // n_heads
    n_columns = -(-n_tokens // 32) * 32
    out = np.empty((n_tokens, size), np.float32)
    for head in range(n_heads):
        at = slice(head * width, (head + 1) * width)
        query, key, value = (projected[:, part * size : (part + 1) * size][:, at] for part in range(3))
        scores = multiply(query, np.ascontiguousarray(key.T))
        scale = ONE / np.sqrt(np.float32(width))
        if distances is not None:
            behind = np.arange(n_tokens)[None] - np.arange(n_tokens)[:, None] + distances.shape[1] // 2
            scores, scale = scores * scale + distances[head][behind], ONE
        weights = np.zeros((n_tokens, n_columns), np.float32)
        weights[:, :n_tokens] = exponential((scores - scores.max(1, keepdims=True)) * scale)
        total = ONE / in_lanes(weights, np.add)
        out[:, at] = multiply(weights[:, :n_tokens], value) * total[:, None]
    return out
