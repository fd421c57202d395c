"""Integer tiles: the same sums by every instruction set, exact to the largest numbers that can occur."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from encode_oracle import sums
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import UNCOMPILED, property_cases

from lsr.kernels.encode import integer_tiles
from lsr.kernels.encode.integer_tiles import PANEL, SHAPES, STEP, TILE_ROWS
from lsr.kernels.encode.pack import pack_rounded
from lsr.kernels.simd.cpu_features import has_feature

RUNS = {"avx512vnni": has_feature("avx512vnni"), "avxvnni": has_feature("avxvnni") or has_feature("avx512vnni")}
"""Whether this processor runs an instruction set: AVX-512 VNNI has the instruction of AVX-VNNI, too."""
SETS = [name for name in SHAPES if not UNCOMPILED and RUNS.get(name, has_feature("avx2"))]


@pytest.fixture(scope="module")
def tiles() -> dict[str, tuple[Any, Any]]:
    plain = (integer_tiles.add_tile_plainly, integer_tiles.raise_tile_plainly)
    return {"plain": plain} | {name: integer_tiles.make_tiles(name) for name in SETS}


def _case(seed: int, steps: int, extreme: bool) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    size = steps * STEP
    activations = rng.integers(1, 256, (2 * TILE_ROWS, size)).astype(np.uint8)
    rounded = rng.integers(-127, 128, (2 * PANEL, size)).astype(np.int8)
    if extreme:
        activations[:] = 255
        rounded[:] = np.where(np.arange(2 * PANEL)[:, None] % 2, 127, -127)
    return (
        activations,
        rounded,
        pack_rounded(rounded, np.ones(len(rounded), np.float32), np.zeros(len(rounded), np.float32)),
    )


@property_cases(4)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 24), extreme=st.booleans())
def test_all_instruction_sets_give_exact_sums(tiles: Any, seed: int, steps: int, extreme: bool) -> None:
    activations, rounded, layer = _case(seed, steps, extreme)
    expected = sums(activations, rounded)[TILE_ROWS:, PANEL:]
    for add_tile, _ in tiles.values():
        found = np.full(TILE_ROWS * PANEL, -1, np.int32)
        flat, size = activations.reshape(-1), steps * STEP
        add_tile(found, flat, TILE_ROWS * size, size, layer.weights, PANEL * size, layer.corrections, PANEL)
        assert np.array_equal(found.reshape(TILE_ROWS, PANEL), expected)


def test_the_longest_sum_does_not_overflow(tiles: Any) -> None:
    activations, rounded, layer = _case(0, 4096, True)
    size = 4096 * STEP
    for name in sorted(set(tiles) - {"plain"}) or ["plain"]:
        found = np.zeros(TILE_ROWS * PANEL, np.int32)
        tiles[name][0](found, activations.reshape(-1), 0, size, layer.weights, 0, layer.corrections, 0)
        assert np.array_equal(found.reshape(TILE_ROWS, PANEL), sums(activations, rounded)[:TILE_ROWS, :PANEL])


@property_cases(4)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 12))
def test_the_largest_scaled_sum_is_kept(tiles: Any, seed: int, steps: int) -> None:
    activations, rounded, layer = _case(seed, steps, False)
    size = steps * STEP
    rng = np.random.default_rng(seed)
    scales = rng.random(2 * TILE_ROWS).astype(np.float32)
    before = rng.normal(0, 1000, 2 * PANEL).astype(np.float32)
    scaled = sums(activations, rounded).astype(np.float32)[TILE_ROWS:, PANEL:] * scales[TILE_ROWS:, None]
    expected = np.maximum(before[PANEL:], scaled.max(0))
    for _, raise_tile in tiles.values():
        largest = before.copy()
        raise_tile(
            largest, PANEL, scales, TILE_ROWS, activations.reshape(-1), TILE_ROWS * size, size, layer.weights,
            PANEL * size, layer.corrections, PANEL,
        )  # fmt: skip
        assert np.array_equal(largest[PANEL:], expected) and np.array_equal(largest[:PANEL], before[:PANEL])


@given(seed=st.integers(0, 2**16), n_outputs=st.integers(1, 2 * PANEL + 1))
def test_packed_weights_are_the_rounded_ones(seed: int, n_outputs: int) -> None:
    rounded = np.random.default_rng(seed).integers(-127, 128, (n_outputs, 2 * STEP)).astype(np.int8)
    layer = pack_rounded(rounded, np.ones(n_outputs, np.float32), np.ones(n_outputs, np.float32))
    panels = layer.weights.reshape(-1, 2, PANEL, STEP)
    for output in range(n_outputs):
        assert np.array_equal(panels[output // PANEL, :, output % PANEL].reshape(-1), rounded[output])
    assert not layer.scales[n_outputs:].any() and len(layer.scales) % PANEL == 0
