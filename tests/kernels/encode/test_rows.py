"""Rows are embedded, normalised, rounded and averaged as numpy does it, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from encode_oracle import in_lanes, normalise, round_gelu_rows, round_rows
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import property_cases

from lsr.kernels.encode import rows

SEEDS = st.integers(0, 2**16)
SIZES = st.integers(1, 6).map(lambda n: 16 * n)


def _floats(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4)).astype(np.float32)


@property_cases(4)
@given(seed=SEEDS, n=st.integers(1, 5), size=SIZES, zeros=st.booleans())
def test_rounding_to_bytes(seed: int, n: int, size: int, zeros: bool) -> None:
    states = _floats(seed, n, size)
    if zeros:
        states[0] = 0
    factors = np.random.default_rng(seed).uniform(0.1, 3, size).astype(np.float32)
    out, scales = np.zeros(n * size, np.uint8), np.zeros(n, np.float32)
    rows.round_rows(states.reshape(-1), n, size, factors, out, scales)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = round_rows(states, factors)
    assert np.array_equal(out.reshape(n, size), expected[0]) and np.array_equal(scales, expected[1])
    assert out.min() >= 1
    back = (out.reshape(n, size).astype(np.float32) - 128) * scales[:, None] / factors
    assert (np.abs(back - states) * factors).max() <= 0.51 * scales.max()


@property_cases(4)
@given(seed=SEEDS, n=st.integers(1, 5), size=SIZES)
def test_outputs_of_a_gelu_are_rounded_from_their_lowest_on(seed: int, n: int, size: int) -> None:
    states = np.maximum(_floats(seed, n, size), np.float32(-0.1699))
    states[0] = -0.1699  # a row of nothing but the lowest
    factors = np.random.default_rng(seed).uniform(0.1, 3, size).astype(np.float32)
    out, scales = np.zeros(n * size, np.uint8), np.zeros(n, np.float32)
    rows.round_gelu_rows(states.reshape(-1), n, size, factors, out, scales)
    expected = round_gelu_rows(states, factors)
    assert np.array_equal(out.reshape(n, size), expected[0]) and np.array_equal(scales, expected[1])
    back = out.reshape(n, size).astype(np.float32) * scales[:, None] / factors - np.float32(0.17)
    assert (np.abs(back - states) * factors <= 0.51 * scales[:, None] + 1e-6 * np.abs(states)).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_no_numbers_says_so_in_its_scale(broken: float) -> None:
    states = np.ones(32, np.float32)
    states[5] = broken
    for function in (rows.round_rows, rows.round_gelu_rows):
        scales = np.zeros(2, np.float32)
        function(states, 2, 16, np.ones(16, np.float32), np.zeros(32, np.uint8), scales)
        assert not np.isfinite(scales[0]) and np.isfinite(scales[1])


@property_cases(4)
@given(seed=SEEDS, n=st.integers(1, 5), size=SIZES)
def test_normalising(seed: int, n: int, size: int) -> None:
    states, weight, bias = _floats(seed, n, size), _floats(seed + 1, size), _floats(seed + 2, size)
    epsilon = np.float32(1e-12)
    expected = normalise(states, weight, bias, epsilon)
    found = states.reshape(-1).copy()
    rows.normalise_rows(found, n, size, weight, bias, epsilon)
    assert np.array_equal(found.reshape(n, size), expected)
    centred = states - states.mean(1, keepdims=True, dtype=np.float64)
    exact = centred / np.sqrt(np.square(centred).mean(1, keepdims=True)) * weight + bias
    assert np.allclose(expected, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).max())


@property_cases(4)
@given(seed=SEEDS, n=st.integers(1, 5))
def test_embeddings_are_summed_and_normalised(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    words, scales = rng.integers(-127, 128, (7, 32)).astype(np.int8), rng.random(7).astype(np.float32)
    places, kind, weight, bias = (_floats(seed + i, *shape) for i, shape in enumerate([(5, 32), (32,), (32,), (32,)]))
    ids, positions = rng.integers(0, 7, n), np.arange(n)
    words.flags.writeable = False
    summed = words[ids].astype(np.float32) * scales[ids][:, None] + kind + places[positions]
    expected = normalise(summed, weight, bias, np.float32(1e-12))
    whole = words.astype(np.float32) * scales[:, None]
    for table, of_rows in ((words, scales), (whole, np.ones(7, np.float32))):
        found = np.zeros(n * 32, np.float32)
        rows.embed_rows(ids, positions, table, of_rows, places, kind, weight, bias, np.float32(1e-12), found)
        assert np.array_equal(found.reshape(n, 32), expected)


@property_cases(4)
@given(seed=SEEDS, n=st.integers(1, 9))
def test_the_mean_is_taken_row_after_row(seed: int, n: int) -> None:
    states, out = _floats(seed, n + 2, 32), np.zeros(32, np.float32)
    total = np.zeros(32, np.float32)
    for row in states[1 : n + 1]:
        total = total + row
    rows.mean_of_rows(states.reshape(-1), 1, n, 32, out)
    mean = total / np.float32(n)
    assert np.array_equal(out, mean)
    rows.to_unit_length(out)
    assert np.array_equal(out, mean / np.sqrt(in_lanes(np.square(mean), np.add)))
    zeros = np.zeros(32, np.float32)
    rows.to_unit_length(zeros)
    assert not zeros.any()
