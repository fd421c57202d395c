"""A query's terms are located in a segment, its postings counted, and a score named that k documents reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import STORED_K, draw_collection, draw_query, forward_rows, invert, property_cases, seeds, sizes
from kernel_oracle import rank_by_matrix

from lsr.indexer.storage.segment import Segment
from lsr.kernels.build.kth_impacts import kth_impacts
from lsr.kernels.build.layout import Postings
from lsr.kernels.traversals.term_lookup import locate

LAST_ID = 2**31 - 1


class Located(NamedTuple):
    """The counts that `locate` returns, and the terms that it writes."""

    terms: list[int]
    weights: list[int]
    n_rare: int
    n_postings: int
    n_rare_postings: int
    reached: int


def run(
    postings: Postings, vocabulary: np.ndarray, kth: np.ndarray, column: int, ids: list[int], of: list[int]
) -> Located:
    """Locate the terms `ids` of weights `of`; assert that no more is written than was found."""
    terms, weights = np.full(len(ids) + 1, -9), np.full(len(ids) + 1, 99, np.uint32)
    arrays = np.array(ids, np.int32), np.array(of, np.uint32)
    for array in (vocabulary, kth, *arrays):
        array.flags.writeable = False
    n, *counts = locate(postings, vocabulary, kth, column, *arrays, terms, weights)
    assert (terms[n:] == -9).all()
    assert (weights[n:] == 99).all()
    return Located(terms[:n].tolist(), weights[:n].tolist(), *map(int, counts))


def locate_plain(
    matrix: np.ndarray, vocabulary: np.ndarray, kth: np.ndarray, column: int, ids: list[int], of: list[int]
) -> Located:
    """Look every term up by itself, and count the column of the documents × terms matrix."""
    number_of = {term_id: local for local, term_id in enumerate(vocabulary.tolist())}
    found = [(number_of[t], w) for t, w in zip(ids, of, strict=True) if w and t in number_of]
    df = [int(np.count_nonzero(matrix[:, local])) for local, _ in found]
    rare = [d for d in df if d * 64 < max(len(matrix), 1)]
    reached = [w * int(kth[local, column]) for local, w in found] if column >= 0 else []
    return Located(
        [local for local, _ in found], [w for _, w in found], len(rare), sum(df), sum(rare), max([1, *reached])
    )


def draw_vocabulary(rng: np.random.Generator, n_terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the ids of a segment's terms, and as many that it lacks, the least and the greatest among either."""
    others = rng.choice(10 * n_terms + 10, 2 * n_terms, replace=False) + 1
    ids = rng.permutation(np.concatenate([others, [0, LAST_ID]]))
    return np.sort(ids[:n_terms]).astype(np.uint32), ids[n_terms:]


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_equals_the_plain_twin_and_the_segments_own_lookup(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    n_terms = matrix.shape[1]
    postings = invert(matrix)
    vocabulary, unknown = draw_vocabulary(rng, n_terms)
    kth = kth_impacts(*forward_rows(matrix), n_terms, STORED_K)
    length = int(rng.integers(0, 2 * n_terms + 1))
    ids = np.sort(rng.permutation(np.concatenate([vocabulary.astype(np.int64), unknown]))[:length]).tolist()
    weights = draw_query(seed, len(ids), len(ids), str(rng.choice(("any", "equal", "largest"))))[1]
    weights[rng.random(len(ids)) < rng.choice((0.0, 0.3, 1.0), p=(0.5, 0.4, 0.1))] = 0
    column = int(rng.integers(-1, len(STORED_K)))
    found = run(postings, vocabulary, kth, column, ids, weights.tolist())
    assert found == locate_plain(matrix, vocabulary, kth, column, ids, weights.tolist())
    segment = SimpleNamespace(terms=vocabulary, arrays=postings._asdict())
    local, at = Segment.local_terms(segment, np.array(ids, np.int32))
    local, used = local[weights[at] > 0], weights[at][weights[at] > 0]
    assert found[:2] == (local.tolist(), used.tolist())
    df = Segment.df(segment, local)
    assert found.n_postings == df.sum()
    assert found.n_rare_postings == df[postings.row[local] < 0].sum()
    assert found.n_rare == np.count_nonzero(postings.row[local] < 0)


@property_cases(8)
@given(seed=seeds, n_docs=sizes)
def test_k_documents_reach_the_score_returned(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    n_terms = matrix.shape[1]
    kth = kth_impacts(*forward_rows(matrix), n_terms, STORED_K)
    weights = draw_query(seed, n_terms, n_terms, "any")[1]
    everything = np.ones(n_docs, bool)
    for column, k in enumerate(STORED_K.tolist()):
        ids = list(range(n_terms))
        reached = run(invert(matrix), np.arange(n_terms, dtype=np.uint32), kth, column, ids, weights.tolist()).reached
        if reached > 1:
            assert len(rank_by_matrix(matrix, np.arange(n_terms), weights, everything, reached, k)) == k


def known(n_docs: int = 100) -> tuple[Postings, np.ndarray, np.ndarray]:
    """Return the postings, vocabulary and k-th impacts of three terms: in all documents, in one, in half."""
    matrix = np.zeros((n_docs, 3), np.uint8)
    matrix[:, 0], matrix[-1:, 1], matrix[::2, 2] = 4, 9, 6
    return invert(matrix), np.array([3, 8, LAST_ID], np.uint32), kth_impacts(*forward_rows(matrix), 3, STORED_K)


def test_terms_the_segment_lacks_are_skipped() -> None:
    assert run(*known(), 0, [0, 2, 4, 7, 9, LAST_ID - 1], [5] * 6) == ([], [], 0, 0, 0, 1)
    assert run(*known(), 0, [2, 3, 5, 8, 9, LAST_ID], [5] * 6) == ([0, 1, 2], [5] * 3, 1, 151, 1, 45)


def test_terms_of_weight_zero_are_skipped() -> None:
    assert run(*known(), 0, [3, 8, LAST_ID], [7, 0, 2]) == ([0, 2], [7, 2], 0, 150, 0, 28)
    assert run(*known(), 0, [3, 8, LAST_ID], [0, 0, 0]) == ([], [], 0, 0, 0, 1)


def test_the_score_is_of_the_wanted_column_or_one() -> None:
    ids, weights = [3, 8, LAST_ID], [1, 1, 1]
    by_column = {1: 9, 3: 6, 10: 6, 30: 6, 100: 4, 300: 1, 1000: 1}
    for column, k in enumerate(STORED_K.tolist()):
        assert run(*known(), column, ids, weights).reached == by_column[k]
    assert run(*known(), -1, ids, weights).reached == 1


@pytest.mark.parametrize("weight", [2**24, (2**32 - 1) // 255])
def test_the_largest_weight_does_not_overflow(weight: int) -> None:
    postings, vocabulary, _ = known()
    kth = np.full((3, 1), 255, np.uint8)
    assert run(postings, vocabulary, kth, 0, [3], [weight]).reached == weight * 255


def test_no_terms_and_no_documents() -> None:
    assert run(*known(), 0, [], []) == ([], [], 0, 0, 0, 1)
    assert run(*known(0), 0, [3, 8], [5, 5]) == ([0, 1], [5, 5], 2, 0, 0, 1)
    no_terms = invert(np.zeros((0, 0), np.uint8)), np.empty(0, np.uint32), np.empty((0, len(STORED_K)), np.uint8)
    assert run(*no_terms, 0, [3, 8], [5, 5]) == ([], [], 0, 0, 0, 1)
