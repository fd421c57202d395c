"""A few documents are found in all posting lists of rare terms, and no other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from kernel_cases import Collection, draw_case, invert, property_cases, seeds, sizes

from lsr.kernels.build.find_documents import last_at_most, places_of


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_places_are_those_of_the_documents_postings(seed: int, n_docs: int) -> None:
    postings, _ = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    doc_ords = np.sort(rng.permutation(n_docs)[: int(rng.choice((0, 1, 3, 40, n_docs)))])
    found = places_of(postings.rare_start, postings.rare, doc_ords)
    assert found.tolist() == np.flatnonzero(np.isin(postings.rare >> 8, doc_ords)).tolist()


def test_more_postings_than_there_was_room_for_first() -> None:
    matrix = Collection(n_docs=300, n_terms=150, terms="rare").matrix()
    matrix[7] = 255
    postings = invert(matrix)
    n_rare = len(postings.rare_start) - 1
    assert n_rare > 64
    assert len(places_of(postings.rare_start, postings.rare, np.array([7]))) == n_rare


@property_cases(8)
@given(seed=seeds, n_docs=sizes)
def test_halving_ends_at_the_last_that_is_not_too_large(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.sort(rng.permutation(4 * n_docs + 4)[: n_docs + 1]).astype(np.uint32)
    for wanted in rng.integers(0, 4 * n_docs + 5, 20).astype(np.uint32):
        expected = max(int(np.searchsorted(values, wanted, side="right")) - 1, 0)
        assert last_at_most(values, 0, len(values), wanted) == expected
