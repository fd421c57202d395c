"""Query weights become integers: in proportion, and never so large that a score overflows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.kernels.geometry import LARGEST_IMPACT
from lsr.query.engine.query_weights import LARGEST_SCORE, integer_weights

WEIGHTS = st.lists(st.floats(0, 2**20, width=32), max_size=200)


@given(WEIGHTS)
def test_no_score_can_overflow(weights: list[float]) -> None:
    try:
        integers, _ = integer_weights(np.array(weights, np.float32))
    except UsageError:
        assert sum(weights) > 2**24
        return
    assert int(integers.astype(object).sum() if len(integers) else 0) * LARGEST_IMPACT <= LARGEST_SCORE


@given(st.lists(st.integers(0, 1000).map(float), min_size=1, max_size=60))
def test_whole_weights_stay_in_exact_proportion(weights: list[float]) -> None:
    integers, factor = integer_weights(np.array(weights, np.float32))
    assert integers.tolist() == [weight * factor for weight in weights]


@given(st.lists(st.floats(2**-4, 2**4, width=32), min_size=1, max_size=60))
def test_rounding_costs_less_than_one_part_in_ten_thousand(weights: list[float]) -> None:
    integers, factor = integer_weights(np.array(weights, np.float32))
    np.testing.assert_allclose(integers / factor, weights, rtol=1e-4)


@pytest.mark.parametrize("weights", [[-1.0], [1.0, float("nan")], [float("inf")]])
def test_weights_that_no_bound_can_be_kept_for_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="finite and not negative"):
        integer_weights(np.array(weights, np.float32))


def test_weights_beyond_32_bits_are_refused() -> None:
    with pytest.raises(UsageError, match="the limit is 16777216"):
        integer_weights(np.array([2.0**24, 2.0**24], np.float32))


def test_nothing_gives_nothing() -> None:
    assert integer_weights(np.empty(0, np.float32))[0].tolist() == []
    assert integer_weights(np.zeros(3, np.float32))[0].tolist() == [0, 0, 0]
