"""Densified sparse vectors: the largest weight of each slice, signed, multiplied as a dense index does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.converted.densified import EMPTY, densify, signed
from lsr.encoders.dense.base import DenseEncoder
from lsr.encoders.registry import load_dense_encoder, load_encoder, open_dense_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document, SparseBatch

VOCAB = 40
ROW = st.dictionaries(st.integers(0, VOCAB - 1), st.integers(1, 4).map(float), max_size=12)
TEXTS = ["the cat sat on the mat .", "a dog run ##ning", "tree ##house cat"]


def plain_slices(row: dict[int, float], n_slices: int) -> dict[int, tuple[float, int]]:
    """Slice → its largest weight, and the smallest term that has it."""
    found: dict[int, tuple[float, int]] = {}
    for term, weight in sorted(row.items()):
        if weight > found.get(term % n_slices, (0.0, 0))[0]:
            found[term % n_slices] = (weight, term)
    return found


@settings(deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5), n_slices=st.sampled_from([8, 13, 40]))
def test_slices_are_those_of_a_plain_twin(rows: list[dict[int, float]], n_slices: int) -> None:
    slices = densify(SparseBatch.from_rows(rows, VOCAB), n_slices)
    plain = [plain_slices(row, n_slices) for row in rows]
    for values, term_ids, expected in zip(slices.values, slices.term_ids, plain, strict=True):
        assert {i: (values[i], term_ids[i]) for i in np.flatnonzero(values)} == expected
        assert (term_ids[values == 0] == EMPTY).all()
    dense = signed(slices)
    assert np.array_equal(np.abs(dense), slices.values)
    # As many slices as terms: none is lost, no two meet, and a plain product is the sparse one.
    if n_slices == VOCAB:
        exact = [[sum(w * other.get(term, 0.0) for term, w in row.items()) for other in rows] for row in rows]
        assert dense @ dense.T == pytest.approx(np.array(exact))


def test_products_of_different_terms_cancel_out_on_average() -> None:
    n = 4000
    first = densify(SparseBatch.from_rows([{8 * i: 1.0} for i in range(n)], 16 * n), 8)
    second = densify(SparseBatch.from_rows([{8 * (i + n): 1.0} for i in range(n)], 16 * n), 8)
    products = (signed(first) * signed(second)).sum(axis=1)
    assert set(products.tolist()) == {-1.0, 1.0} and abs(products.mean()) < 5 / n**0.5


def test_a_sparse_model_is_a_dense_encoder_by_its_name(plain_folder: Path) -> None:
    sparse = load_encoder(plain_folder)
    encoder = load_dense_encoder(f"densified:16:{plain_folder}")
    assert isinstance(encoder, DenseEncoder) and encoder.dimension == 16
    documents = [Document(str(i), text) for i, text in enumerate([*TEXTS, " "])]
    found = encoder.encode_dense_documents(documents)
    assert np.array_equal(found, signed(densify(sparse.encode_documents(documents), 16)))
    assert not found[3].any() and np.array_equal(encoder.encode_dense_queries(TEXTS), found[:3])
    again = open_dense_encoder({**encoder.description, "dimension": 16})
    assert again.description == encoder.description
    assert load_dense_encoder(f"densified:{plain_folder}").dimension == 768
    recorded: Any = dict(encoder.description)
    with pytest.raises(EncoderError, match="revision"):
        open_dense_encoder({**recorded, "revision": "sha256:0", "dimension": 16})


def test_what_can_not_be_densified(plain_folder: Path) -> None:
    with pytest.raises(UsageError, match="bm25 weighs words by statistics of a corpus"):
        load_dense_encoder("densified:bm25")
    with pytest.raises(UsageError, match="4 slices; give 8 to 65,536"):
        load_dense_encoder(f"densified:4:{plain_folder}")
    with pytest.raises(UsageError, match="names no sparse encoder"):
        load_dense_encoder("densified:")
