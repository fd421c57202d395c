"""Scoring pages in order: the right ones, from a guess, and all again if it was too high."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    PAGES_ONLY,
    UNCOMPILED,
    VISITS_ONLY,
    GuardedScratch,
    admit,
    bitmap,
    count_rare,
    draw_any_query,
    draw_case,
    draw_collection,
    hits,
    invert,
    property_cases,
    scratch_for,
    seeds,
    segments_of,
    sizes,
)
from kernel_oracle import key_of_plain, pages_plain, posting_list, rank_by_matrix, search_blockmax_plain, search_plain

from lsr.kernels.geometry import BLOCK, PAGE, SUPERBLOCK
from lsr.kernels.traversals.blockmax import SAFE, search_blockmax
from lsr.kernels.traversals.pages import add_rare_runs, add_runs, pages_at_least, score_pages
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import add_rare_to_blocks
from lsr.kernels.traversals.topk import NO_FILTER


@property_cases(4)
@given(
    seed=st.integers(0, 2**16),
    n_superblocks=st.integers(0, 70),
    highest=st.sampled_from((1, 9, 2**32 - 1)),
    threshold=st.one_of(st.integers(1, 10), st.integers(1, 2**32)),
)
def test_pages_with_an_upper_bound_that_reaches_the_threshold(
    seed: int, n_superblocks: int, highest: int, threshold: int
) -> None:
    upper_bounds = np.random.default_rng(seed).integers(0, highest, n_superblocks, endpoint=True).astype(np.uint32)
    pages = np.full(n_superblocks, 77, np.uint32)
    n = pages_at_least(upper_bounds, np.uint64(threshold), pages)
    assert pages[:n].tolist() == pages_plain(upper_bounds.tolist(), threshold)
    assert (pages[n + 1 :] == 77).all()


def draw_pages(rng: np.random.Generator, n_docs: int) -> np.ndarray:
    """Draw some of a segment's pages, ascending."""
    return np.flatnonzero(rng.random(-(-n_docs // PAGE)) < rng.choice((0.1, 0.5, 1.0))).astype(np.uint32)


@property_cases(4)
@given(seed=seeds, n_docs=sizes, weight=st.sampled_from((0, 1, 1000, 2**23)))
def test_a_term_is_added_to_some_pages(seed: int, n_docs: int, weight: int) -> None:
    """Frequent or rare, to scores that hold something already, and to no other page's."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    n_superblocks = -(-n_docs // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    rows, _, rare, _ = split_terms(postings, terms, weights)
    no_bounds = np.zeros(len(rare), np.uint32)
    add_rare_to_blocks(postings, rare, no_bounds, scratch.arrays.block_bounds, scratch.arrays.places)
    pages = draw_pages(rng, n_docs)
    before = rng.integers(0, 2**31, len(pages) * PAGE).astype(np.uint32)
    for term in rng.permutation(terms)[:6].tolist():
        held = np.zeros(-(-n_docs // PAGE) * PAGE, np.int64)
        doc_ords, impacts = posting_list(postings, term)
        held[doc_ords] = impacts
        scores, row = before.copy(), int(postings.row[term])
        if row >= 0:
            assert row in rows
            add_runs(postings, row, np.uint32(weight), pages, pages[:2], n_superblocks, scores)
        else:
            place = scratch.arrays.places[np.flatnonzero(rare == -1 - row)[0]]
            add_rare_runs(postings, -1 - row, np.uint32(weight), place, pages, n_superblocks, scores)
        assert (scores - before).tolist() == (weight * held.reshape(-1, PAGE)[pages]).ravel().tolist()


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_the_best_of_some_pages_are_found(seed: int, n_docs: int) -> None:
    """As by a filter that allows these pages only."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    n_superblocks = -(-n_docs // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    query = split_terms(postings, terms, weights)
    no_bounds = np.zeros(len(query.rare), np.uint32)
    add_rare_to_blocks(postings, query.rare, no_bounds, scratch.arrays.block_bounds, scratch.arrays.places)
    pages = draw_pages(rng, n_docs)
    mask = rng.random(n_docs) < rng.choice((0.05, 0.6, 1.0))
    filtered = bitmap(mask) if rng.random() < 0.5 else NO_FILTER
    on_pages = np.isin(np.arange(n_docs) // PAGE, pages) & (mask if filtered.size else True)
    initial_threshold = int(rng.choice((1, 1000, 10**8, 2**32)))
    k = int(rng.choice((1, 10, 100)))
    heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
    score_pages(postings, query, pages, admit(5, filtered, initial_threshold), heap, scratch.arrays)
    scratch.check()
    search_plain(postings, terms, weights, admit(5, bitmap(on_pages), initial_threshold), plain_heap)
    assert hits(heap) == hits(plain_heap)


def test_visits_and_hits_equal_the_plain_twin_however_it_ends() -> None:
    """Every end is reached, with and without a filter, an initial threshold, and another segment's keys in the heap."""
    taken: Counter[tuple[str, str]] = Counter()

    @property_cases(1)
    @given(seed=seeds, n_docs=sizes)
    def search_segments(seed: int, n_docs: int) -> None:
        rng = np.random.default_rng(seed)
        collection = draw_collection(rng, n_docs)
        matrix, segments = segments_of(collection, int(rng.integers(1, 4)))
        terms, weights = draw_any_query(rng, collection.n_terms)
        mask = rng.random(n_docs) < rng.choice((0.02, 0.5)) if rng.random() < 0.4 else None
        everything = np.ones(n_docs, bool)
        scores = [score for score, _ in rank_by_matrix(matrix, terms, weights, everything, 1, n_docs)] or [1]
        initial_threshold = int(rng.choice(scores)) if rng.random() < 0.4 else 1
        k = int(rng.choice((1, 2, 10, 100, n_docs + 5)))
        heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
        visits, expected = np.array([10, 20, 30]), np.array([10, 20, 30])
        scratch = scratch_for(segments, terms)
        for segment in segments:
            most = int(rng.choice((PAGES_ONLY, PAGES_ONLY, 0, 1, 5, 20, VISITS_ONLY)))
            allowed = NO_FILTER if mask is None else bitmap(mask[segment.base + segment.order])
            circumstances = (
                ("filter", mask is not None),
                ("threshold", initial_threshold > 1),
                ("keys", bool(heap.any())),
            )
            call = segment.postings, terms, weights, admit(segment.base, allowed, initial_threshold)
            search_blockmax(*call, heap, scratch.arrays, visits, most)
            added, end = search_blockmax_plain(*call, plain_heap, most)
            expected += added
            scratch.check()
            assert visits.tolist() == expected.tolist()
            assert hits(heap) == hits(plain_heap)
            taken.update((end, name) for name, there in (*circumstances, ("any", True)) if there)

    search_segments()
    if UNCOMPILED:
        assert {end for end, _ in taken} >= {"visits", "reached", "again"}
        return
    for end in ("nothing", "visits", "pages", "reached", "again"):
        for circumstance in ("filter", "threshold", "keys"):
            assert taken[end, circumstance] >= 3, taken


def search(
    matrix: np.ndarray,
    k: int,
    most: int = PAGES_ONLY,
    initial_threshold: int = 1,
    allowed: np.ndarray = NO_FILTER,
    keys: tuple[tuple[int, int], ...] = (),
) -> tuple[list[tuple[int, int]], list[int]]:
    """Search a matrix by all its terms with weight 1, with hits in the heap; return hits and visits."""
    postings = invert(matrix)
    terms = np.arange(matrix.shape[1])
    scratch = GuardedScratch(-(-len(matrix) // SUPERBLOCK), count_rare(postings, terms))
    heap, visits = np.zeros(k, np.uint64), np.zeros(3, np.int64)
    heap[k - len(keys) :] = sorted(key_of_plain(*hit) for hit in keys)
    heap.sort()
    weights = np.ones(len(terms), np.uint32)
    admission = admit(1000, allowed, initial_threshold)
    search_blockmax(postings, terms, weights, admission, heap, scratch.arrays, visits, most)
    scratch.check()
    return hits(heap), visits.tolist()


def graded(impact_of: list[int]) -> np.ndarray:
    """Make a matrix of one term, whose impact is the same throughout each page."""
    return np.repeat(np.array(impact_of, np.uint8), PAGE)[:, None]


def falsely_promising() -> np.ndarray:
    """Make three pages whose blocks promise 400 and hold 100, and one of 90 and 90."""
    matrix = np.zeros((4 * PAGE, BLOCK), np.uint8)
    for i in range(BLOCK):
        matrix[i : 3 * PAGE : BLOCK, i] = 100
    matrix[3 * PAGE :, 0] = 90
    return matrix


def test_pages_below_the_guess_are_not_scored() -> None:
    below = 160 * int(SAFE) // 16 - 1
    found, visits = search(graded([below, 160, below, 160, 1]), k=2)
    assert found == [(160, 1000 + PAGE), (160, 1001 + PAGE)]
    assert visits == [20, 0, 2]


def test_pages_at_the_guess_are_scored() -> None:
    """The k-th best lies exactly on the guess, so it is enough to have scored what reaches it."""
    at = 160 * int(SAFE) // 16
    matrix = graded([at, 160, at - 1])
    matrix[PAGE + 1 : 2 * PAGE] = 0
    found, visits = search(matrix, k=3)
    assert found == [(160, 1000 + PAGE), (at, 1000), (at, 1001)]
    assert visits == [9, 0, 2]


def test_all_is_done_again_if_fewer_than_k_reach_the_guess() -> None:
    matrix = falsely_promising()
    assert search(matrix, k=2) == ([(100, 1000), (100, 1001)], [16, 0, 7])
    assert search(matrix, k=2, initial_threshold=91) == ([(100, 1000), (100, 1001)], [12, 0, 6])
    assert search(matrix, k=2, initial_threshold=101) == ([], [12, 0, 6])


def test_a_threshold_above_the_guess_is_no_guess() -> None:
    assert search(falsely_promising(), k=2, initial_threshold=390) == ([], [12, 0, 3])
    assert search(graded([160, 158, 1]), k=500, initial_threshold=159) == (
        [(160, 1000 + i) for i in range(PAGE)],
        [4, 0, 1],
    )
    keys = ((391, 3), (390, 4))
    assert search(falsely_promising(), k=2, keys=keys) == ([*keys], [12, 0, 3])


@pytest.mark.parametrize("keys", [((124, 3),), ((124, 3), (99, 4)), ((100, 9), (100, 8)), ((350, 7), (1, 2), (1, 1))])
def test_what_was_in_the_heap_is_neither_lost_nor_doubled(keys: tuple[tuple[int, int], ...]) -> None:
    """Other segments' keys, below the guess and above it; three documents of this segment may join."""
    found, visits = search(falsely_promising(), k=3, keys=keys)
    scored = [(100, 1000 + i) for i in range(3 * PAGE)] + [(90, 1000 + i) for i in range(3 * PAGE, 4 * PAGE)]
    assert found == sorted([*keys, *scored], key=lambda hit: (-hit[0], hit[1]))[:3]
    assert visits[2] == 7


def test_a_filter_may_make_the_guess_too_high() -> None:
    """Of the superblocks that have an allowed document, bounds don't know which of their documents that is."""
    matrix = graded([160, 160, 3])
    allowed = np.zeros(3 * PAGE, bool)
    allowed[[5, 3 * PAGE - 1]] = True
    assert search(matrix, k=1, allowed=bitmap(allowed)) == ([(160, 1005)], [2, 0, 1])
    assert search(matrix, k=2, allowed=bitmap(allowed)) == ([(160, 1005), (3, 999 + 3 * PAGE)], [2, 0, 3])
    assert search(matrix, k=2, allowed=bitmap(~allowed & False)) == ([], [0, 0, 0])


def test_more_promised_superblocks_than_most_are_scored_as_pages() -> None:
    matrix = graded([9, 9, 1])
    promised = 2 * PAGE // SUPERBLOCK
    assert search(matrix, k=1, most=promised)[1] == [12, promised, 0]
    assert search(matrix, k=1, most=promised - 1)[1] == [12, 0, 2]


def test_more_pages_than_fit_the_window_at_once() -> None:
    n_pages = 5 if UNCOMPILED else 40
    matrix = graded([7] * n_pages)
    matrix[-1] = 9
    found, visits = search(matrix[:-3], k=3)
    assert found == [(7, 1000), (7, 1001), (7, 1002)]
    found, visits = search(matrix, k=3)
    assert found == [(9, 999 + n_pages * PAGE), (7, 1000), (7, 1001)]
    assert visits == [4 * n_pages, 0, n_pages]
