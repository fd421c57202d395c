"""Block-max scoring alone: the order of visits, single superblocks, and that it skips, safely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import (
    VISITS_ONLY,
    Collection,
    GuardedScratch,
    admit,
    bitmap,
    count_rare,
    draw_case,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import order_by_upper_bound_plain, scores_of

from lsr.kernels.geometry import SUPERBLOCK
from lsr.kernels.traversals.blockmax import (
    BUCKETS,
    order_by_upper_bound,
    prefetch_impacts,
    prefetch_runs,
    score_superblock,
    search_blockmax,
    superblocks_at_least,
)
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import add_rare_to_blocks
from lsr.kernels.traversals.topk import NO_FILTER


@property_cases(2)
@given(
    seed=st.integers(0, 2**16),
    n_superblocks=st.one_of(st.integers(1, 300), st.just(BUCKETS + 500)),
    highest=st.sampled_from((1, 5, BUCKETS - 1, BUCKETS, 100_000, 2**32 - 1)),
    threshold=st.one_of(st.integers(1, 3000), st.integers(1, 2**32 - 1)),
)
def test_superblocks_are_visited_in_descending_buckets(
    seed: int, n_superblocks: int, highest: int, threshold: int
) -> None:
    upper_bounds = np.random.default_rng(seed).integers(0, highest, n_superblocks, endpoint=True).astype(np.uint32)
    top = int(upper_bounds.max())
    assume(top > 0)
    threshold = min(threshold, top)
    queue = np.full(n_superblocks, 7, np.uint32)
    reaching = np.full(n_superblocks, 7, np.uint32)
    n = superblocks_at_least(upper_bounds, np.uint64(threshold), reaching)
    shift = order_by_upper_bound(upper_bounds, reaching[:n], np.uint64(threshold), np.uint32(top), queue)
    expected = order_by_upper_bound_plain(upper_bounds.tolist(), threshold, top)
    assert (queue[:n].tolist(), shift) == expected
    assert (queue[n:] == 7).all()


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_a_superblock_gets_the_scores_of_its_documents(seed: int, n_docs: int) -> None:
    """In any order of superblocks, and whatever is prefetched before."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    scores = np.array(scores_of(postings, terms.tolist(), weights.tolist()), np.uint32)
    n_superblocks = -(-len(scores) // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    query = split_terms(postings, terms, weights)
    places, no_bounds = scratch.arrays.places, np.zeros(len(query.rare), np.uint32)
    add_rare_to_blocks(postings, query.rare, no_bounds, scratch.arrays.block_bounds, places)
    for superblock in np.random.default_rng(seed).permutation(n_superblocks).tolist():
        prefetch_runs(postings, query.rows, superblock)
        prefetch_impacts(postings, query.rows, superblock)
        window = np.zeros(SUPERBLOCK, np.uint32)
        score_superblock(postings, query, superblock, places, window)
        own = scores[superblock * SUPERBLOCK : (superblock + 1) * SUPERBLOCK]
        assert np.array_equal(window[: len(own)], own)
        assert not window[len(own) :].any()


def search(
    matrix: np.ndarray,
    k: int,
    initial_threshold: int = 1,
    allowed: np.ndarray = NO_FILTER,
    order: np.ndarray | None = None,
) -> tuple[list[tuple[int, int]], list[int]]:
    """Search a matrix by all its terms with weight 1; return the hits, and what was added to the visits."""
    postings = invert(matrix, order)
    terms = np.arange(matrix.shape[1])
    scratch = GuardedScratch(-(-len(matrix) // SUPERBLOCK), count_rare(postings, terms))
    heap, visits = np.zeros(k, np.uint64), np.array([1000, 2000, 3000])
    weights = np.ones(len(terms), np.uint32)
    admission = admit(0, allowed, initial_threshold)
    search_blockmax(postings, terms, weights, admission, heap, scratch.arrays, visits, VISITS_ONLY)
    scratch.check()
    assert visits[2] == 3000
    return hits(heap), (visits[:2] - [1000, 2000]).tolist()


def graded(n_superblocks: int, impact_of: list[int]) -> np.ndarray:
    """Make a matrix of one term, whose impact is the same throughout each superblock."""
    assert len(impact_of) == n_superblocks
    return np.repeat(np.array(impact_of, np.uint8), SUPERBLOCK)[:, None]


def test_superblocks_below_the_threshold_are_not_scored() -> None:
    matrix = graded(6, [1, 2, 9, 3, 2, 1])
    assert search(matrix, k=SUPERBLOCK) == ([(9, 128 + i) for i in range(SUPERBLOCK)], [6, 1])


def test_superblocks_at_the_threshold_are_scored() -> None:
    """All tie with the threshold, and the last superblock holds the document added first."""
    matrix = graded(6, [5] * 6)
    found, visits = search(matrix, k=1, order=np.arange(6 * SUPERBLOCK)[::-1].copy())
    assert found == [(5, 0)]
    assert visits == [6, 6]


def test_superblocks_below_the_initial_threshold_are_not_even_queued() -> None:
    matrix = graded(4, [4, 7, 9, 7])
    assert search(matrix, k=10, initial_threshold=10) == ([], [0, 0])
    assert search(matrix, k=1, initial_threshold=9) == ([(9, 128)], [1, 1])
    assert search(matrix, k=1, initial_threshold=7) == ([(9, 128)], [3, 1])


def test_superblocks_without_an_allowed_document_are_not_scored() -> None:
    matrix = graded(4, [4, 7, 9, 7])
    allowed = np.zeros(4 * SUPERBLOCK, bool)
    allowed[[0, 255]] = True
    assert search(matrix, k=5, allowed=bitmap(allowed)) == ([(7, 255), (4, 0)], [2, 2])


@pytest.mark.parametrize("k", [1, 2, 64, 65, 130, 200, 384])
def test_a_wide_bucket_never_hides_a_better_superblock(k: int) -> None:
    """One superblock of so large a score that all others share a bucket, in which the worst comes first."""
    matrix = np.hstack([graded(6, [1, 2, 254, 3, 255, 1]), graded(6, [0, 0, 0, 0, 0, 255])])
    weights = np.array([1, (2**32 - 1) // 255 - 1], np.uint32)
    scratch = GuardedScratch(6, 0)
    heap = np.zeros(k, np.uint64)
    query = invert(matrix), np.arange(2), weights
    search_blockmax(*query, admit(), heap, scratch.arrays, np.zeros(3, np.int64), VISITS_ONLY)
    scores = matrix.astype(int) @ weights.astype(int)
    best = sorted(range(384), key=lambda d: (-scores[d], d))[:k]
    assert hits(heap) == [(scores[d], d) for d in best]


@pytest.mark.parametrize("spare", [1, 5, 5000])
def test_scratch_may_be_larger_than_the_segment(spare: int) -> None:
    matrix = Collection(seed=2, n_docs=150).matrix()
    postings = invert(matrix)
    terms, weights = np.arange(20), np.full(20, 3, np.uint32)
    found = []
    for extra in (0, spare):
        scratch = GuardedScratch(3 + extra, count_rare(postings, terms))
        heap, visits = np.zeros(10, np.uint64), np.zeros(3, np.int64)
        search_blockmax(postings, terms, weights, admit(), heap, scratch.arrays, visits, VISITS_ONLY)
        scratch.check()
        found.append((hits(heap), visits.tolist()))
    assert found[0] == found[1]
