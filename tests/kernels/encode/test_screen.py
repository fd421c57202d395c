"""The vocabulary head's screen: it misses no term, whatever rows, weights and directions are like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import property_cases

from lsr.encoders.compiled.products import Products
from lsr.kernels.encode.pack import pack_floats, pack_rounded, round_weights
from lsr.kernels.encode.screen import make_screen

SIZE, RANK = 64, 32
KINDS = st.sampled_from(("near a subspace", "anywhere", "the mean itself", "zeros", "one direction", "large", "small"))


def _rows(rng: Any, kind: str, n: int, mean: Any, directions: Any) -> Any:
    rows = mean + rng.standard_normal((n, RANK)) @ directions + rng.standard_normal((n, SIZE)) / 20
    changed = {
        "anywhere": rng.standard_normal((n, SIZE)) * 3,
        "the mean itself": np.tile(mean, (n, 1)),
        "zeros": np.zeros((n, SIZE)),
        "one direction": mean + rng.standard_normal((n, 1)) * directions[:1],
        "large": rows * 1e4,
        "small": rows * 1e-4,
    }
    return changed.get(kind, rows).astype(np.float32)


@property_cases(4)
@given(
    seed=st.integers(0, 2**16),
    kind=KINDS,
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=3),
    n_terms=st.integers(1, 200),
    least=st.sampled_from((0.0, 0.35, 3.0)),
)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_no_term_is_missed(dtype: str, seed: int, kind: str, lengths: list[int], n_terms: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = int(indptr[-1])
    mean, directions = rng.standard_normal(SIZE) * 2, np.linalg.qr(rng.standard_normal((SIZE, RANK)))[0].T
    rows = np.zeros((n + 6, SIZE), np.float32)
    rows[:n] = _rows(rng, kind, n, mean, directions)
    weight = rng.standard_normal((n_terms, SIZE)).astype(np.float32)
    weight[rng.random(n_terms) < 0.1] = 0
    bias = (rng.standard_normal(n_terms) * 4 - 8 * (seed % 3)).astype(np.float32)
    of_mean, of_directions = mean.astype(np.float32), directions.astype(np.float32)
    rounded = round_weights(weight)
    layer: Any = pack_rounded(rounded, bias) if dtype == "int8" else pack_floats(weight, bias)
    screen = make_screen(rounded if dtype == "int8" else weight, bias, of_mean, of_directions)
    products = Products(n + 12, SIZE)
    ids = [rng.integers(0, n_terms, length).tolist() for length in lengths]
    whole = products.largest(layer, rows.reshape(-1), indptr)[:, :n_terms]
    found = products.above(layer, screen, rows.reshape(-1), indptr, least, ids)
    for scores, of_text, kept in zip(whole, ids, found, strict=True):
        assert (np.diff(kept.term_ids) > 0).all() and (kept.logits > 0).all()
        assert np.array_equal(kept.logits, scores[kept.term_ids])
        wanted = scores > least
        wanted[of_text] = scores[of_text] > 0
        assert set(np.flatnonzero(wanted)) <= set(kept.term_ids)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_most_terms_are_left_out_where_rows_lie_in_the_subspace(dtype: str) -> None:
    rng = np.random.default_rng(1)
    n, n_terms = 12, 2_000
    mean, directions = np.zeros(SIZE), np.linalg.qr(rng.standard_normal((SIZE, RANK)))[0].T
    rows = (rng.standard_normal((n, RANK)) @ directions).astype(np.float32)
    weight, bias = rng.standard_normal((n_terms, SIZE)).astype(np.float32), np.full(n_terms, -15, np.float32)
    rounded = round_weights(weight)
    layer: Any = pack_rounded(rounded, bias) if dtype == "int8" else pack_floats(weight, bias)
    screen = make_screen(rounded if dtype == "int8" else weight, bias, np.float32(mean), np.float32(directions))
    (found,) = Products(n, SIZE).above(layer, screen, rows.reshape(-1), np.array([0, n]), -1e9, [[0]])
    whole = Products(n, SIZE).largest(layer, rows.reshape(-1), np.array([0, n]))[0]
    assert np.array_equal(found.term_ids, np.flatnonzero(whole[:n_terms] > 0)) and 0 < len(found.term_ids) < 400


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_row_without_numbers_is_passed_through(number: float) -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((12, SIZE)).astype(np.float32)
    rows[8, 3] = number
    weight, bias = rng.standard_normal((70, SIZE)).astype(np.float32), np.zeros(70, np.float32)
    screen = make_screen(weight, bias, np.zeros(SIZE, np.float32), np.eye(RANK, SIZE, dtype=np.float32))
    layer = pack_floats(weight, bias)
    first, second = Products(12, SIZE).above(layer, screen, rows.reshape(-1), np.array([0, 6, 12]), 0.0, [[0], [0]])
    assert np.isfinite(first.logits).all() and not np.isfinite(second.logits).any()
