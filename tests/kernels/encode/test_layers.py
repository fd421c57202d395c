"""Linear layers, attention, the vocabulary head and their functions are those of numpy, bit for bit."""

from __future__ import annotations

import math
from itertools import pairwise

import encode_oracle as oracle
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import from_python, property_cases

from lsr.kernels.encode import functions
from lsr.kernels.encode.attention import attend
from lsr.kernels.encode.float_linear import (
    float_largest_scores,
    float_linear,
    float_linear_and_gelu,
    float_linear_onto,
)
from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS
from lsr.kernels.encode.linear import linear, linear_and_gelu, linear_onto
from lsr.kernels.encode.pack import (
    Rounded,
    pack_after_gelu,
    pack_floats,
    pack_linear,
    pack_rounded,
    round_weights,
    unrounded,
)
from lsr.kernels.encode.rows import GELU_DEPTH, round_gelu_rows, round_rows
from lsr.kernels.encode.vocabulary import largest_scores, take_positive

SEEDS = st.integers(0, 2**16)


def test_the_exponential_and_gelu_are_close_to_exact_and_equal_to_numpys() -> None:
    exponential, gelu = from_python(functions.exponential, 1), from_python(functions.gelu, 1)
    short_gelu = from_python(functions.short_gelu, 1)
    for x in np.concatenate([np.linspace(-90, 0, 301), [-1e30, -np.inf]]).astype(np.float32):
        found = exponential(x)
        assert found == oracle.exponential(np.array([x]))[0]
        assert math.isclose(found, math.exp(max(float(x), -87.0)), rel_tol=4e-7)
    for x in np.concatenate([np.linspace(-9, 9, 301), [0.0, 1e4, -1e4]]).astype(np.float32):
        assert gelu(x) == oracle.gelu(np.array([x]))[0]
        exact = float(x) * (1 + math.erf(float(x) / math.sqrt(2))) / 2
        assert abs(gelu(x) - exact) < 2e-6 * max(1, abs(x))
        assert short_gelu(x) == oracle.short_gelu(np.array([x]))[0] >= -GELU_DEPTH
        assert abs(short_gelu(x) - exact) < 7e-5 + 1e-6 * abs(x)


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=20))
def test_the_logarithm_is_correctly_rounded(values: list[float]) -> None:
    given_values, out = np.array(values, np.float32), np.zeros(len(values), np.float32)
    functions.log1p_of(given_values, out)
    exact = np.array([math.log1p(value) for value in given_values.tolist()])
    assert (np.abs(out - exact) <= np.spacing(np.abs(exact).astype(np.float32)) * 0.5001 + 1e-16).all()


@property_cases(4)
@given(seed=SEEDS, tiles=st.integers(1, 2), panels=st.integers(1, 2))
def test_linear_layers(seed: int, tiles: int, panels: int) -> None:
    rng = np.random.default_rng(seed)
    n, width, size = tiles * TILE_ROWS, panels * PANEL, 32
    activations = rng.integers(1, 256, (n, size)).astype(np.uint8)
    row_scales = rng.random(n).astype(np.float32) / 50
    weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((width, size), width))
    rounded = round_weights(weight)
    expected = oracle.linear(activations, row_scales, rounded.weights, rounded.scales, bias)
    layer, out = pack_linear(weight, bias), np.zeros(n * width, np.float32)
    linear(activations.reshape(-1), row_scales, n, layer, out)
    assert np.array_equal(out.reshape(n, width), expected)
    linear_and_gelu(activations.reshape(-1), row_scales, n, layer, out)
    assert np.array_equal(out.reshape(n, width), oracle.short_gelu(expected))
    before = rng.standard_normal((n, width)).astype(np.float32)
    states = before.reshape(-1).copy()
    linear_onto(activations.reshape(-1), row_scales, n, layer, states)
    assert np.array_equal(states.reshape(n, width), before + expected)


@property_cases(2)
@given(seed=SEEDS, panels=st.integers(1, 2), after_gelu=st.booleans())
def test_factors_and_a_shift_of_inputs_change_nothing_but_the_error(seed: int, panels: int, after_gelu: bool) -> None:
    rng = np.random.default_rng(seed)
    n, width, size = TILE_ROWS, panels * PANEL, 64
    rows = oracle.gelu(rng.standard_normal((n, size)).astype(np.float32))
    weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((width, size), width))
    factors = rng.uniform(0.3, 3, size).astype(np.float32)
    rounded = round_weights(weight, factors)
    assert np.abs(unrounded(rounded) - weight).max() <= (rounded.scales[:, None] * factors).max() * 0.51
    layer = (pack_after_gelu if after_gelu else pack_rounded)(rounded, bias)
    bytes_of, scales, out = np.zeros(n * size, np.uint8), np.zeros(n, np.float32), np.zeros(n * width, np.float32)
    round_them = round_gelu_rows if after_gelu else round_rows
    round_them(rows.reshape(-1), n, size, layer.factors, bytes_of, scales)
    linear(bytes_of, scales, n, layer, out)
    error = out.reshape(n, width) - (rows @ unrounded(rounded).T + bias)
    assert np.abs(error).max() <= 0.51 * scales.max() * np.abs(unrounded(rounded) / factors).sum(1).max() + 1e-4


@property_cases(4)
@given(seed=SEEDS, tiles=st.integers(1, 2), panels=st.integers(1, 2))
def test_linear_layers_in_float32(seed: int, tiles: int, panels: int) -> None:
    rng = np.random.default_rng(seed)
    n, width, size = tiles * TILE_ROWS, panels * COLUMNS, 16
    rows = rng.standard_normal((n, size)).astype(np.float32)
    weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((width, size), width))
    layer, out = pack_floats(weight, bias), np.zeros(n * width, np.float32)
    expected = oracle.multiply(rows, np.ascontiguousarray(weight.T)) + bias
    float_linear(rows.reshape(-1), n, layer, out)
    assert np.array_equal(out.reshape(n, width), expected)
    float_linear_and_gelu(rows.reshape(-1), n, layer, out)
    assert np.array_equal(out.reshape(n, width), oracle.gelu(expected))
    before = rng.standard_normal((n, width)).astype(np.float32)
    states = before.reshape(-1).copy()
    float_linear_onto(rows.reshape(-1), n, layer, states)
    assert np.array_equal(states.reshape(n, width), before + expected)
    scores = np.zeros((tiles, width), np.float32)
    float_largest_scores(rows.reshape(-1), np.arange(tiles + 1) * TILE_ROWS, layer, panels, scores)
    assert np.array_equal(scores, expected.reshape(tiles, TILE_ROWS, width).max(1))


@property_cases(2)
@given(
    seed=SEEDS,
    n_tokens=st.integers(1, 40),
    first=st.integers(0, 3),
    scale=st.sampled_from((0.1, 1.0, 10.0)),
    by_distance=st.booleans(),
)
def test_attention(seed: int, n_tokens: int, first: int, scale: float, by_distance: bool) -> None:
    rng = np.random.default_rng(seed)
    size, n_heads = 64, 2
    projected = (rng.standard_normal((first + n_tokens + TILE_ROWS, 3 * size)) * scale).astype(np.float32)
    out = np.full((first + n_tokens + 1, size), 7, np.float32)
    distances = rng.standard_normal((n_heads, 2 * 45 - 1 if by_distance else 0)).astype(np.float32)
    attend(projected.reshape(-1), first, n_tokens, n_heads, size, distances, out.reshape(-1))
    expected = oracle.attend(projected[first : first + n_tokens], n_heads, distances if by_distance else None)
    assert np.array_equal(out[first : first + n_tokens], expected)
    assert (out[:first] == 7).all() and (out[first + n_tokens :] == 7).all()


@property_cases(2)
@given(seed=SEEDS, lengths=st.lists(st.integers(1, 2), min_size=1, max_size=3), n_terms=st.integers(1, 2 * PANEL))
def test_the_vocabulary_head(seed: int, lengths: list[int], n_terms: int) -> None:
    rng = np.random.default_rng(seed)
    size = 16
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64) * TILE_ROWS
    activations = rng.integers(1, 256, (int(indptr[-1]), size)).astype(np.uint8)
    row_scales = rng.random(len(activations)).astype(np.float32) / 50
    rounded = rng.integers(-127, 128, (n_terms, size)).astype(np.int8)
    scales, bias = rng.random(n_terms).astype(np.float32), rng.standard_normal(n_terms).astype(np.float32)
    layer = pack_rounded(Rounded(rounded, scales, np.ones(size, np.float32)), bias)
    n_panels = len(layer.scales) // PANEL
    scores = np.zeros((len(lengths), n_panels * PANEL), np.float32)
    largest_scores(activations.reshape(-1), row_scales, indptr, layer, n_panels, scores)
    scaled = oracle.sums(activations, rounded).astype(np.float32) * row_scales[:, None]
    for text, (first, end) in enumerate(pairwise(indptr.tolist())):
        expected = scaled[first:end].max(0) * scales + bias
        assert np.array_equal(scores[text, :n_terms], expected)
        term_ids, weights = np.zeros(n_terms, np.int32), np.zeros(n_terms, np.float32)
        n = take_positive(scores[text], n_terms, term_ids, weights)
        assert term_ids[:n].tolist() == np.flatnonzero(expected > 0).tolist()
        assert np.array_equal(weights[:n], expected[expected > 0])
