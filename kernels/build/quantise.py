"""Quantisation of document weights to impacts."""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import LARGEST_IMPACT
from lsr.kernels.jit.compile import kernel


@kernel
def quantise(weights, scale, impacts):
    """Set impacts[i] (uint8) to weights[i] / scale, rounded, within 1 … 255; return how many were clipped at 255.

    weights: float32, positive and finite. A positive weight never becomes 0: its document could no
    longer be found by that term.
    """
    clipped = 0
    for i in range(weights.size):
        value = np.rint(weights[i] / scale)
        if value > LARGEST_IMPACT:
            value = LARGEST_IMPACT
            clipped += 1
        impacts[i] = np.uint8(max(value, 1.0))
    return clipped
