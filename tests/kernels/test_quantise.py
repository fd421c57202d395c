"""Impacts are the nearest whole numbers of scales, from 1 to 255; what is clipped is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import property_cases

from lsr.kernels.build.quantise import quantise
from lsr.kernels.geometry import LARGEST_IMPACT

scales = st.builds(lambda dtype, scale: dtype(scale), st.sampled_from((np.float32, np.float64)), st.floats(1e-6, 1e3))
positive = st.floats(float(np.float32(1e-30)), float(np.float32(1e6)), width=32)


def quantise_plain(weights: np.ndarray, scale: np.floating) -> tuple[list[int], int]:
    """Return the impacts, and how many were clipped. Python rounds halves to even, as the kernel does."""
    rounded = [round(float(weight / scale)) for weight in weights]
    clipped = sum(value > LARGEST_IMPACT for value in rounded)
    return [min(max(value, 1), LARGEST_IMPACT) for value in rounded], clipped


@property_cases(2)
@given(weights=st.lists(positive, max_size=50), scale=scales)
def test_equals_the_plain_twin(weights: list[float], scale: np.floating) -> None:
    array = np.array(weights, np.float32)
    array.flags.writeable = False
    impacts = np.zeros(len(array), np.uint8)
    clipped = quantise(array, scale, impacts)
    assert (impacts.tolist(), clipped) == quantise_plain(array, scale)


@property_cases(2)
@given(seed=st.integers(0, 2**16), scale=scales)
def test_the_error_is_half_a_scale_or_the_floor_of_one(seed: int, scale: np.floating) -> None:
    weights = (np.random.default_rng(seed).random(200) * 300 * scale).astype(np.float32) + np.float32(1e-30)
    weights.flags.writeable = False
    impacts = np.zeros(200, np.uint8)
    clipped = quantise(weights, scale, impacts)
    error = np.abs(impacts * np.float64(scale) - weights)
    beyond = np.rint(weights / scale) > LARGEST_IMPACT
    tiny = weights / scale < 0.5
    rounding = 1 + 256 * np.finfo(scale.dtype).eps
    assert (error[~beyond & ~tiny] <= scale / 2 * rounding).all()
    assert (impacts[tiny] == 1).all()
    assert (impacts[beyond] == LARGEST_IMPACT).all()
    assert clipped == beyond.sum()


@pytest.mark.parametrize(
    ("weight", "impact", "clipped"),
    [
        (1e-38, 1, 0),
        (0.2, 1, 0),
        (0.5, 1, 0),
        (1.5, 2, 0),
        (2.5, 2, 0),
        (255.0, 255, 0),
        (255.25, 255, 0),
        (255.5, 255, 1),
        (256.0, 255, 1),
        (3e38, 255, 1),
    ],
)
def test_the_edges(weight: float, impact: int, clipped: int) -> None:
    impacts = np.zeros(1, np.uint8)
    assert quantise(np.array([weight], np.float32), np.float64(1), impacts) == clipped
    assert impacts[0] == impact


def test_no_weights_clip_nothing() -> None:
    assert quantise(np.empty(0, np.float32), np.float64(0.1), np.empty(0, np.uint8)) == 0


def test_larger_weights_never_get_smaller_impacts() -> None:
    weights = np.sort(np.random.default_rng(0).random(1000).astype(np.float32) * 4)
    impacts = np.zeros(1000, np.uint8)
    quantise(weights, np.float64(0.01), impacts)
    assert (np.diff(impacts.astype(int)) >= 0).all()
