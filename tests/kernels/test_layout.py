"""The inverted index holds every posting once, its maxima are maxima, and its runs start where they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import UNCOMPILED, Collection, draw_collection, forward_rows, invert, property_cases, seeds, sizes
from kernel_oracle import posting_list

from lsr.kernels.build.layout import Postings, build, count_terms
from lsr.kernels.geometry import BLOCK, FREQUENT, MAX_DOCS, PAGE, RUN, SUPERBLOCK, SUPERBLOCK_BLOCKS

DTYPES = Postings(np.int32, np.uint8, np.uint8, np.uint32, np.int64, np.uint8, np.int64, np.uint32, np.uint32)  # type: ignore[arg-type]


def check_layout(postings: Postings, matrix: np.ndarray, order: np.ndarray) -> None:
    """Compare every array with the documents × terms matrix."""
    reordered = matrix[order].astype(np.int64)
    n_docs, n_terms = reordered.shape
    n_superblocks = -(-n_docs // SUPERBLOCK)
    filled_up = np.zeros((n_superblocks * SUPERBLOCK, n_terms), np.int64)
    filled_up[:n_docs] = reordered
    df = np.count_nonzero(matrix, axis=0)
    assert tuple(array.dtype for array in postings) == tuple(DTYPES)
    assert np.array_equal(postings.insertion, order)
    assert postings.runs.shape == (len(postings.frequent_start) - 1, n_superblocks * RUN)
    assert np.array_equal(postings.row >= 0, (df * FREQUENT >= n_docs) & (df > 0))
    frequent, rare = np.flatnonzero(postings.row >= 0), np.flatnonzero(postings.row < 0)
    assert np.array_equal(postings.row[frequent], np.arange(len(frequent)))
    assert np.array_equal(postings.row[rare], -1 - np.arange(len(rare)))
    assert np.array_equal(np.diff(postings.frequent_start), df[frequent])
    assert np.array_equal(np.diff(postings.rare_start), df[rare])
    for term in range(n_terms):
        doc_ords, impacts = posting_list(postings, term)
        held = np.flatnonzero(reordered[:, term])
        assert np.array_equal(doc_ords, held)
        assert np.array_equal(impacts, reordered[held, term])
    blocks = filled_up.reshape(n_superblocks * SUPERBLOCK_BLOCKS, BLOCK, n_terms).max(axis=1)
    assert np.array_equal(postings.block_max, blocks[:, frequent].T)
    superblocks = blocks.reshape(n_superblocks, SUPERBLOCK_BLOCKS, n_terms).max(axis=1)
    assert np.array_equal(postings.superblock_max, superblocks[:, frequent].T)


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_every_posting_is_there(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    order = rng.permutation(n_docs)
    check_layout(invert(matrix, order), matrix, order)


@property_cases(8)
@given(seed=seeds, n_docs=sizes)
def test_document_frequencies_are_added(seed: int, n_docs: int) -> None:
    matrix = draw_collection(np.random.default_rng(seed), n_docs).matrix()
    _, term_ids, _ = forward_rows(matrix)
    df = np.arange(matrix.shape[1])
    count_terms(term_ids, df)
    assert np.array_equal(df, np.arange(matrix.shape[1]) + np.count_nonzero(matrix, axis=0))


@pytest.mark.parametrize("n_docs", [64, 128, 640, 641])
def test_a_term_is_frequent_from_one_in_64_documents(n_docs: int) -> None:
    least = -(-n_docs // FREQUENT)
    matrix = np.zeros((n_docs, 3), np.uint8)
    matrix[:least, 0] = 1
    matrix[: least - 1, 1] = 1
    assert (invert(matrix).row >= 0).tolist() == [True, False, False]


@pytest.mark.parametrize("n_docs", [1, 64])
def test_in_one_superblock_every_term_that_stands_there_is_frequent(n_docs: int) -> None:
    matrix = np.zeros((n_docs, 2), np.uint8)
    matrix[-1, 0] = 200
    postings = invert(matrix)
    assert postings.row.tolist() == [0, -1]
    check_layout(postings, matrix, np.arange(n_docs))


def test_no_documents_make_empty_arrays() -> None:
    postings = invert(np.zeros((0, 4), np.uint8))
    assert postings.row.tolist() == [-1, -2, -3, -4]
    assert postings.block_max.shape == postings.superblock_max.shape == (0, 0)
    assert postings.runs.shape == (0, 0)
    assert postings.frequent_start.tolist() == [0]
    assert postings.rare_start.tolist() == [0, 0, 0, 0, 0]
    assert postings.frequent.size == postings.rare.size == postings.insertion.size == 0


def test_no_terms_make_empty_arrays() -> None:
    matrix = np.zeros((70, 0), np.uint8)
    check_layout(invert(matrix), matrix, np.arange(70))


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
def test_forward_rows_may_be_read_only_and_of_any_integer(dtype: type) -> None:
    matrix = Collection(seed=1, n_docs=300).matrix()
    indptr, term_ids, impacts = forward_rows(matrix)
    term_ids = term_ids.astype(dtype)
    for array in (indptr, term_ids, impacts):
        array.flags.writeable = False
    order = np.arange(300)
    check_layout(build(indptr, term_ids, impacts, matrix.shape[1], order), matrix, order)


def test_a_vocabulary_may_pass_65_536_terms() -> None:
    n_terms = 70_000
    indptr = np.array([0, 2, 3])
    term_ids = np.array([5, n_terms - 1, n_terms - 1], np.uint32)
    postings = build(indptr, term_ids, np.array([7, 8, 9], np.uint8), n_terms, np.array([1, 0]))
    assert [array.tolist() for array in posting_list(postings, n_terms - 1)] == [[0, 1], [9, 8]]
    assert [array.tolist() for array in posting_list(postings, 5)] == [[1], [7]]
    assert (postings.row >= 0).sum() == 2


def test_more_documents_than_a_segment_holds_are_refused() -> None:
    indptr, order = np.broadcast_to(np.int64(0), MAX_DOCS + 2), np.broadcast_to(np.int64(0), MAX_DOCS + 1)
    with pytest.raises(ValueError, match="16,777,217 documents are more than one segment holds"):
        build(indptr, np.empty(0, np.uint16), np.empty(0, np.uint8), 1, order)


@pytest.mark.large
@pytest.mark.skipif(UNCOMPILED, reason="takes hours without compilation")
def test_the_largest_segment_holds_its_last_document() -> None:
    """Of MAX_DOCS documents, with a frequent and a rare term in the last: needs about 1 GB."""
    in_each = np.zeros(MAX_DOCS, np.int64)
    in_each[:: FREQUENT // 2] = 1
    in_each[-1] = 2
    indptr = np.concatenate([[0], np.cumsum(in_each)])
    term_ids = np.zeros(indptr[-1], np.uint16)
    term_ids[-1] = 1
    impacts = np.full(indptr[-1], 255, np.uint8)
    postings = build(indptr, term_ids, impacts, 2, np.arange(MAX_DOCS))
    assert postings.row.tolist() == [0, -1]
    assert [array.tolist() for array in posting_list(postings, 1)] == [[MAX_DOCS - 1], [255]]
    assert np.array_equal(posting_list(postings, 0)[0], np.flatnonzero(in_each))
    assert PAGE * (MAX_DOCS // PAGE) == MAX_DOCS
