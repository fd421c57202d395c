"""Superblocks scored in the order of memory: those whose bound reaches the threshold, each once, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    UNCOMPILED,
    Collection,
    GuardedScratch,
    admit,
    bitmap,
    count_rare,
    draw_case,
    draw_query,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import posting_list, search_plain

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import SUPERBLOCK
from lsr.kernels.traversals.blockmax import bound_superblocks
from lsr.kernels.traversals.in_order import add_rare_runs_of, add_runs_of, score_in_order
from lsr.kernels.traversals.query_terms import QueryTerms, split_terms
from lsr.kernels.traversals.superblock import FEW, search_superblock
from lsr.kernels.traversals.superblock_bounds import Scale
from lsr.kernels.traversals.topk import NO_FILTER


def bound(postings: Postings, terms: np.ndarray, weights: np.ndarray) -> tuple[GuardedScratch, QueryTerms, Scale]:
    """Return scratch with the bounds of a query, its terms, and the scale of the bounds."""
    scratch = GuardedScratch(-(-len(postings.insertion) // SUPERBLOCK), count_rare(postings, terms))
    query = split_terms(postings, terms, weights)
    _top, scale = bound_superblocks(postings, query, scratch.arrays)
    return scratch, query, scale


def draw_superblocks(rng: np.random.Generator, n_docs: int) -> np.ndarray:
    """Draw some of a segment's superblocks, ascending."""
    return np.flatnonzero(rng.random(-(-n_docs // SUPERBLOCK)) < rng.choice((0.1, 0.5, 1.0))).astype(np.uint32)


@property_cases(4)
@given(seed=seeds, n_docs=sizes, weight=st.sampled_from((0, 1, 1000, 2**23)))
def test_a_term_is_added_to_some_superblocks(seed: int, n_docs: int, weight: int) -> None:
    """Frequent or rare, to scores that hold something already, and to no other superblock's."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    scratch, query, _ = bound(postings, terms, weights)
    chosen = draw_superblocks(rng, n_docs)
    before = rng.integers(0, 2**31, len(chosen) * SUPERBLOCK).astype(np.uint32)
    for term in rng.permutation(terms)[:6].tolist():
        held = np.zeros(-(-n_docs // SUPERBLOCK) * SUPERBLOCK, np.int64)
        doc_ords, impacts = posting_list(postings, term)
        held[doc_ords] = impacts
        scores, row = before.copy(), int(postings.row[term])
        if row >= 0:
            add_runs_of(postings, row, np.uint32(weight), chosen, chosen[:2], scores)
        else:
            place = scratch.arrays.places[np.flatnonzero(query.rare == -1 - row)[0]]
            add_rare_runs_of(postings, -1 - row, np.uint32(weight), place, chosen, scores)
        assert (scores - before).tolist() == (weight * held.reshape(-1, SUPERBLOCK)[chosen]).ravel().tolist()


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_the_best_of_some_superblocks_are_found(seed: int, n_docs: int) -> None:
    """As by a filter that allows these alone, whose bounds become 0, unless they were skipped."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    scratch, query, scale = bound(postings, terms, weights)
    chosen = draw_superblocks(rng, n_docs)
    mask = rng.random(n_docs) < rng.choice((0.05, 0.6, 1.0))
    filtered = bitmap(mask) if rng.random() < 0.5 else NO_FILTER
    among = np.isin(np.arange(n_docs) // SUPERBLOCK, chosen) & (mask if filtered.size else True)
    initial_threshold = int(rng.choice((1, 1000, 10**8, 2**32)))
    k = int(rng.choice((1, 10, 100)))
    heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
    before = scratch.arrays.upper_bounds.copy()
    n = score_in_order(postings, query, chosen, admit(5, filtered, initial_threshold), heap, scratch.arrays, scale)
    scratch.check()
    search_plain(postings, terms, weights, admit(5, bitmap(among), initial_threshold), plain_heap)
    assert hits(heap) == hits(plain_heap)
    after = scratch.arrays.upper_bounds
    assert np.flatnonzero(after != before).size <= n <= len(chosen)
    untouched = np.setdiff1d(np.arange(len(after)), chosen)
    assert (after[untouched] == before[untouched]).all()
    if heap[0]:  # what was left can't hold a better one
        threshold = int(heap[0] >> np.uint64(32)) * int(scale.fine) // int(scale.unit)
        allowed = [s for s in chosen.tolist() if not filtered.size or filtered[s]]
        assert n >= np.count_nonzero(before[np.array(allowed, np.int64)] > threshold)


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("n_superblocks", [2 * FEW + 1, 130])
@pytest.mark.parametrize("k", [1, 10])
def test_many_superblocks_of_two_levels_are_found_in_order(n_superblocks: int, k: int) -> None:
    """Weights that say little leave most superblocks, of more than one window, after the first pages."""
    n_docs = n_superblocks * SUPERBLOCK - 3
    matrix = Collection(seed=4, n_docs=n_docs, n_terms=8, terms="frequent").matrix()
    postings = invert(matrix)
    terms, weights = draw_query(4, 8, 8, "equal")
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    heap, plain_heap, visits = np.zeros(k, np.uint64), np.zeros(k, np.uint64), np.zeros(3, np.int64)
    search_superblock(postings, terms, weights, admit(0, NO_FILTER, 1), heap, scratch.arrays, visits)
    scratch.check()
    search_plain(postings, terms, weights, admit(0, NO_FILTER, 1), plain_heap)
    assert hits(heap) == hits(plain_heap)
