"""A run is scored alike posting by posting and by the instructions that spread bytes by a mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import from_python, property_cases

from lsr.kernels.simd.bits import count_ones, trailing_zeros
from lsr.kernels.simd.packed_runs import add_run, add_run_by_posting, run_mask

MASKS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 63).map(lambda i: 1 << i), st.sampled_from((0, 2**64 - 1, 2**32, 2**63))
)


@pytest.mark.parametrize(
    "add", [from_python(add_run, 6), add_run_by_posting], ids=["instruction", "posting by posting"]
)
@property_cases(4)
@given(mask=MASKS, seed=st.integers(0, 2**16), weight=st.sampled_from((0, 1, 7, (2**32 - 1) // 255)))
def test_weighted_impacts_go_to_the_documents_of_the_mask(add: object, mask: int, seed: int, weight: int) -> None:
    """From anywhere in the impacts, to anywhere in the scores, whether the array ends with the run or later."""
    rng = np.random.default_rng(seed)
    start, first, n = int(rng.integers(0, 9)), int(rng.integers(0, 5)), mask.bit_count()
    impacts = rng.integers(1, 256, start + n + int(rng.choice((0, 7, 8, 40)))).astype(np.uint8)
    impacts.flags.writeable = False
    scores = np.full(first + 64 + 3, 1000, np.uint32) // np.uint32(1 + (weight > 7) * 1000)
    expected = scores.tolist()
    for place, impact in zip((i for i in range(64) if mask >> i & 1), impacts[start : start + n].tolist(), strict=True):
        expected[first + place] += weight * impact
    add(scores, first, impacts, start, np.uint64(mask), np.uint32(weight))  # type: ignore[operator]
    assert scores.tolist() == expected


@property_cases(8)
@given(mask=MASKS, superblock=st.integers(0, 2))
def test_the_mask_is_put_together_from_two_words(mask: int, superblock: int) -> None:
    runs = np.full(9, 0xABABABAB, np.uint32)
    runs[superblock * 3 : superblock * 3 + 2] = mask & 0xFFFFFFFF, mask >> 32
    assert int(run_mask(runs, superblock)) == mask


def test_bits_are_counted() -> None:
    ones, zeros = from_python(count_ones, 1), from_python(trailing_zeros, 1)
    for word in (0, 1, 2, 3, 2**63, 2**64 - 1, 0b1011000):
        assert ones(np.uint64(word)) == word.bit_count()
        assert zeros(np.uint64(word)) == next((i for i in range(64) if word >> i & 1), 64)
