"""The forward index comes out of the inverted one as it went in; lists out of order are noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import draw_collection, invert, property_cases, seeds, sizes
from kernel_cases import forward_rows as rows_of
from kernel_oracle import posting_list

from lsr.kernels.build.forward import doc_ords_of, forward_rows, take_rows
from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import RUN, SUPERBLOCK


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_forward_rows_come_back_in_the_new_order(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    order = rng.permutation(n_docs)
    indptr, term_ids, impacts, ordered = forward_rows(invert(matrix, order), matrix.shape[1])
    expected = rows_of(matrix[order])
    assert ordered
    assert [array.dtype for array in (indptr, term_ids, impacts)] == [np.int64, np.uint32, np.uint8]
    assert np.array_equal(indptr, expected[0])
    assert np.array_equal(term_ids, expected[1])
    assert np.array_equal(impacts, expected[2])


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_a_posting_list_equals_the_plain_twin(seed: int, n_docs: int) -> None:
    postings = invert(draw_collection(np.random.default_rng(seed), n_docs).matrix())
    for term in range(0, len(postings.row), 7):
        expected = posting_list(postings, term)
        doc_ords, impacts = np.full(n_docs, -7), np.zeros(n_docs, np.uint8)
        assert doc_ords_of(postings, postings.row[term], doc_ords, impacts)
        df = len(expected[0])
        assert np.array_equal(doc_ords[:df], expected[0])
        assert np.array_equal(impacts[:df], expected[1])
        assert (doc_ords[df:] == -7).all()


def damaged(field: str, places: list[int], values: list[int]) -> Postings:
    """Return the postings of 200 documents with some entries of one array replaced; term 1 is rare.

    Document 64, the first of its superblock, doesn't hold term 0.
    """
    matrix = np.zeros((200, 2), np.uint8)
    matrix[:, 0] = 3
    matrix[SUPERBLOCK, 0] = 0
    matrix[[70, 199], 1] = 4
    postings = invert(matrix)
    array = getattr(postings, field).copy()
    array.reshape(-1)[places] = values
    return postings._replace(**{field: array})


def test_undamaged_lists_are_in_order() -> None:
    assert forward_rows(damaged("rare", [], []), 2)[3]


@pytest.mark.parametrize(
    ("field", "places", "values"),
    [
        ("rare", [0, 1], [199 << 8 | 4, 70 << 8 | 4]),
        ("rare", [0, 1], [70 << 8 | 4, 70 << 8 | 4]),
        ("rare", [1], [200 << 8 | 4]),
        ("runs", [RUN + 2], [62]),
        ("runs", [RUN + 2], [65]),
        ("runs", [RUN], [2**32 - 4]),
        ("runs", [RUN], [2**32 - 1]),
        ("runs", [3 * RUN], [511]),
        ("runs", [2 * RUN, 3 * RUN], [2**32 - 2, 511]),
    ],
    ids=["descends", "repeats", "beyond", "overlaps", "leaves a gap", "too few", "too many", "past the end", "strays"],
)
def test_lists_out_of_order_are_noticed(field: str, places: list[int], values: list[int]) -> None:
    assert not forward_rows(damaged(field, places, values), 2)[3]


def test_rows_are_taken_in_any_order() -> None:
    indptr = np.array([0, 2, 2, 5, 6], np.int64)
    values = np.array([10, 11, 20, 21, 22, 30], np.uint8)
    found = take_rows(np.array([3, 1, 0, 3], np.int64), indptr, values)
    assert found.dtype == np.uint8 and found.tolist() == [30, 10, 11, 30]
    assert take_rows(np.empty(0, np.int64), indptr, values).tolist() == []
