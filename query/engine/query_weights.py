"""Query weights as integers, so that scores are exact and a tie is a tie."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.kernels.geometry import LARGEST_IMPACT

LARGEST_SCORE = 2**32 - 1
LARGEST_EXPONENT = 127
"""Of a power of two that float32 can hold, as the weights are float32."""


def integer_weights(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint32], float]:
    """Return integer query weights and the factor that made them: as fine as a score of 32 bits allows.

    weights: (n), finite, not negative. The factor is a power of two, so that whole weights stay in
    exact proportion, and depends on the query alone, never on an index or a segment. No document can
    score above 2³² − 1, whatever its impacts. Raises UsageError for a negative or infinite weight
    (a bound can't be kept with negative weights), or ones that sum to more than 2²⁴.
    """
    if not len(weights):
        return np.empty(0, np.uint32), 1.0
    values = weights.tolist()  # a query's few numbers cost less so than in arrays
    total = math.fsum(values) if math.isfinite(sum(values)) else math.inf
    if total == math.inf or min(values) < 0:
        raise UsageError("query weights must be finite and not negative")
    if total == 0.0:
        return np.zeros(len(weights), np.uint32), 1.0
    room = (LARGEST_SCORE - LARGEST_IMPACT * len(weights)) / (LARGEST_IMPACT * total)
    if room < 1 and total > 2**24:
        raise UsageError(f"query weights sum to {total:g}; the limit is {2**24}")
    factor = math.ldexp(1.0, min(LARGEST_EXPONENT, math.frexp(room)[1] - 1))
    return np.rint(weights * factor).astype(np.uint32), factor
