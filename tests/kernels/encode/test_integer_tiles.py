"""Integer tiles: the same sums by every instruction set, exact to the largest numbers that can occur."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from encode_oracle import linear, sums
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import UNCOMPILED, property_cases

from lsr.kernels.encode import integer_tiles
from lsr.kernels.encode.integer_tiles import PANEL, SHAPES, STEP, TILE_ROWS, Tiles
from lsr.kernels.encode.pack import Rounded, pack_rounded
from lsr.kernels.simd.cpu_features import has_feature

RUNS = {"avx512vnni": has_feature("avx512vnni"), "avxvnni": has_feature("avxvnni") or has_feature("avx512vnni")}
"""Whether this processor runs an instruction set: AVX-512 VNNI has the instruction of AVX-VNNI, too."""
SETS = [name for name in SHAPES if not UNCOMPILED and RUNS.get(name, has_feature("avx2"))]


@pytest.fixture(scope="module")
def tiles() -> dict[str, Tiles]:
    return {"plain": integer_tiles.PLAIN} | {name: integer_tiles.make_tiles(name) for name in SETS}


def _case(seed: int, steps: int, extreme: bool) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    size = steps * STEP
    activations = rng.integers(1, 256, (2 * TILE_ROWS, size)).astype(np.uint8)
    rounded = rng.integers(-127, 128, (2 * PANEL, size)).astype(np.int8)
    if extreme:
        activations[:] = 255
        rounded[:] = np.where(np.arange(2 * PANEL)[:, None] % 2, 127, -127)
    scales, biases = rng.random(2 * PANEL).astype(np.float32), rng.standard_normal(2 * PANEL).astype(np.float32)
    return activations, rounded, pack_rounded(Rounded(rounded, scales, np.ones(size, np.float32)), biases)


@property_cases(4)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 24), extreme=st.booleans())
def test_all_instruction_sets_give_the_same_outputs(tiles: Any, seed: int, steps: int, extreme: bool) -> None:
    activations, rounded, layer = _case(seed, steps, extreme)
    rng = np.random.default_rng(seed)
    row_scales = rng.random(2 * TILE_ROWS).astype(np.float32)
    before = rng.standard_normal((2 * TILE_ROWS, 2 * PANEL)).astype(np.float32)
    outputs = linear(activations, row_scales, rounded, layer.scales, layer.biases)
    last = (slice(TILE_ROWS, None), slice(PANEL, None))
    for variant in tiles.values():
        for function, expected in ((variant.set_tile, outputs), (variant.add_tile, before + outputs)):
            found = before.copy()
            function(found.reshape(-1), 2 * PANEL, activations.reshape(-1), row_scales, TILE_ROWS, layer, PANEL)
            assert np.array_equal(found[last], expected[last])
            found[last] = before[last]
            assert np.array_equal(found, before)


def test_the_longest_sum_does_not_overflow(tiles: Any) -> None:
    activations, rounded, layer = _case(0, 4096, True)
    ones = np.ones(2 * TILE_ROWS, np.float32)
    for name in sorted(set(tiles) - {"plain"}) or ["plain"]:
        found = np.zeros((TILE_ROWS, PANEL), np.float32)
        tiles[name].set_tile(found.reshape(-1), PANEL, activations.reshape(-1), ones, 0, layer, 0)
        expected = linear(activations, ones, rounded, layer.scales, layer.biases)
        assert np.array_equal(found, expected[:TILE_ROWS, :PANEL])


@property_cases(4)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 12))
def test_the_largest_scaled_sum_is_kept(tiles: Any, seed: int, steps: int) -> None:
    activations, rounded, layer = _case(seed, steps, False)
    rng = np.random.default_rng(seed)
    scales = rng.random(2 * TILE_ROWS).astype(np.float32)
    before = rng.normal(0, 1000, 2 * PANEL).astype(np.float32)
    scaled = sums(activations, rounded).astype(np.float32)[TILE_ROWS:, PANEL:] * scales[TILE_ROWS:, None]
    expected = np.maximum(before[PANEL:], scaled.max(0))
    for variant in tiles.values():
        largest = before.copy()
        variant.raise_tile(largest, activations.reshape(-1), scales, TILE_ROWS, layer, PANEL)
        assert np.array_equal(largest[PANEL:], expected) and np.array_equal(largest[:PANEL], before[:PANEL])


@property_cases(4)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 12))
def test_the_largest_sum_is_kept(tiles: Any, seed: int, steps: int) -> None:
    activations, rounded, layer = _case(seed, steps, False)
    before = np.random.default_rng(seed).integers(-100_000, 100_000, 2 * PANEL).astype(np.int32)
    expected = np.maximum(before[PANEL:], sums(activations, rounded)[TILE_ROWS:, PANEL:].max(0))
    for variant in tiles.values():
        largest = before.copy()
        variant.raise_sums_tile(largest, activations.reshape(-1), TILE_ROWS, layer, PANEL)
        assert np.array_equal(largest[PANEL:], expected) and np.array_equal(largest[:PANEL], before[:PANEL])


@given(seed=st.integers(0, 2**16), n_outputs=st.integers(1, 2 * PANEL + 1))
def test_packed_weights_are_the_rounded_ones(seed: int, n_outputs: int) -> None:
    rounded = np.random.default_rng(seed).integers(-127, 128, (n_outputs, 2 * STEP)).astype(np.int8)
    ones = np.ones(n_outputs, np.float32)
    layer = pack_rounded(Rounded(rounded, ones, np.ones(2 * STEP, np.float32)), ones)
    panels = layer.weights.reshape(-1, 2, PANEL, STEP)
    for output in range(n_outputs):
        assert np.array_equal(panels[output // PANEL, :, output % PANEL].reshape(-1), rounded[output])
    assert not layer.scales[n_outputs:].any() and len(layer.scales) % PANEL == 0
