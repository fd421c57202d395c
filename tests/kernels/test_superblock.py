"""What is particular to two levels of bounds: of superblocks, then of one's blocks, and that both skip, safely."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from kernel_cases import GuardedScratch, bitmap, count_rare, draw_case, hits, invert, property_cases, seeds, sizes
from kernel_oracle import blocks_plain, bounds_plain, runs_plain

from lsr.kernels.bounds import add_frequent, add_rare, split_terms
from lsr.kernels.layout import BLOCK, BLOCKS, SUPERBLOCK
from lsr.kernels.superblock import largest_block_bound, search_superblock
from lsr.kernels.topk import NO_FILTER


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_both_levels_equal_their_plain_twins(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    n_superblocks = -(-n_docs // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    peaks, places = scratch.arrays.peaks, scratch.arrays.places
    peaks[:] = 0
    add_rare(postings, rare, rare_weights, peaks, places)
    add_frequent(postings.superblock_max, rows, row_weights, peaks)
    scratch.check()
    expected = np.zeros(n_superblocks, np.int64)
    for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
        expected += weight * blocks_plain(postings, term).reshape(n_superblocks, BLOCKS).max(axis=1)
    assert peaks.tolist() == expected.tolist()
    for i, superblock, start in runs_plain(postings, terms.tolist()):
        assert places[i, superblock] == start
    of_blocks = np.array(bounds_plain(postings, terms.tolist(), weights.tolist()), np.int64)
    for superblock, own in enumerate(of_blocks.reshape(n_superblocks, BLOCKS)):
        rubbish = np.full(BLOCKS, 77, np.uint32)
        call = postings, rows, row_weights, rare, rare_weights, superblock, places, rubbish
        assert largest_block_bound(*call) == own.max()
        assert own.max() <= expected[superblock]


def test_neighbours_of_a_rare_term_count_by_their_largest() -> None:
    matrix = np.zeros((400, 2), np.uint8)
    matrix[[0, 1, 3, 68, 69, 100], 1] = [2, 9, 5, 7, 7, 8]
    postings = invert(matrix)
    scratch = GuardedScratch(7, 1)
    scratch.arrays.peaks[:] = 0
    rare, weights = np.array([1]), np.array([10], np.uint32)
    add_rare(postings, rare, weights, scratch.arrays.peaks, scratch.arrays.places)
    assert scratch.arrays.peaks.tolist() == [90, 80, 0, 0, 0, 0, 0]
    none = np.empty(0, np.int64), np.empty(0, np.uint32)
    for superblock, peak in ((0, 90), (1, 80), (2, 0), (6, 0)):
        bounds = np.empty(BLOCKS, np.uint32)
        assert largest_block_bound(postings, *none, rare, weights, superblock, scratch.arrays.places, bounds) == peak


def search(
    matrix: np.ndarray, k: int, floor: int = 1, allowed: np.ndarray = NO_FILTER
) -> tuple[list[tuple[int, int]], list[int]]:
    """Search a matrix by all its terms with weight 1; return the hits, and what was added to the visits."""
    postings = invert(matrix)
    terms = np.arange(matrix.shape[1])
    scratch = GuardedScratch(-(-len(matrix) // SUPERBLOCK), count_rare(postings, terms))
    heap, visits = np.zeros(k, np.uint64), np.array([1000, 2000])
    weights = np.ones(len(terms), np.uint32)
    search_superblock(postings, terms, weights, 0, allowed, np.uint64(floor), heap, scratch.arrays, visits)
    scratch.check()
    return hits(heap), (visits - [1000, 2000]).tolist()


def two_terms_apart() -> np.ndarray:
    """Make superblocks of equal bounds; only in the second do both terms meet in a block."""
    matrix = np.zeros((3 * SUPERBLOCK, 2), np.uint8)
    matrix[[0, 2 * SUPERBLOCK], 0] = 9
    matrix[[BLOCK, 2 * SUPERBLOCK + BLOCK], 1] = 9
    matrix[SUPERBLOCK] = 9
    return matrix


def test_superblocks_whose_blocks_leave_no_chance_are_not_scored() -> None:
    assert search(two_terms_apart(), k=1, floor=18) == ([(18, SUPERBLOCK)], [3, 1])


def test_superblocks_below_the_floor_are_not_visited() -> None:
    assert search(two_terms_apart(), k=1, floor=19) == ([], [0, 0])


def test_superblocks_without_an_allowed_document_are_not_visited() -> None:
    allowed = np.zeros(3 * SUPERBLOCK, bool)
    allowed[[0, 2 * SUPERBLOCK + BLOCK]] = True
    found = [(9, 0), (9, 2 * SUPERBLOCK + BLOCK)]
    assert search(two_terms_apart(), k=5, allowed=bitmap(allowed)) == (found, [2, 2])
