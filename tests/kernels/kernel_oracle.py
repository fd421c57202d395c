"""The plain twins of the scoring kernels: the same call shapes, no care for speed.

`rank_by_matrix` is the second, independent route: it never sees an inverted index.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import BLOCK, PAGE, RUN, SUPERBLOCK, SUPERBLOCK_BLOCKS
from lsr.kernels.traversals.blockmax import BUCKETS, PROMISED, SAFE
from lsr.kernels.traversals.scratch import Scratch
from lsr.kernels.traversals.superblock_bounds import FINEST, LARGEST_WEIGHT, STEPS_IN_A_BLOCK
from lsr.kernels.traversals.topk import Admission

LARGEST_POSITION = 2**32 - 1


def posting_list(postings: Postings, term: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the doc_ords and impacts of a term."""
    row = int(postings.row[term])
    if row < 0:
        rare = postings.rare[postings.rare_start[-1 - row] : postings.rare_start[-row]].astype(np.int64)
        return rare >> 8, rare & 255
    impacts = postings.frequent[postings.frequent_start[row] : postings.frequent_start[row + 1]].astype(np.int64)
    doc_ords: list[int] = []
    for superblock, (low, high, start) in enumerate(postings.runs[row].reshape(-1, RUN).tolist()):
        assert start == len(doc_ords)
        mask = low | high << 32
        doc_ords += [superblock * SUPERBLOCK + i for i in range(SUPERBLOCK) if mask >> i & 1]
    return np.array(doc_ords, np.int64), impacts


def scores_of(postings: Postings, terms: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Return the score of every document of a segment."""
    scores = np.zeros(len(postings.insertion), np.int64)
    for term, weight in zip(terms, weights, strict=True):
        doc_ords, impacts = posting_list(postings, int(term))
        scores[doc_ords] += int(weight) * impacts
    return scores.tolist()


def is_allowed(allowed: npt.NDArray[np.uint64], doc_ord: int) -> bool:
    return allowed.size == 0 or bool(int(allowed[doc_ord // 64]) >> (doc_ord % 64) & 1)


def key_of_plain(score: int, position: int) -> int:
    return score * 2**32 + LARGEST_POSITION - position


def replace_least_plain(heap: npt.NDArray[np.uint64], key: int) -> None:
    keys = heap.tolist()
    heapq.heapify(keys)
    heapq.heapreplace(keys, int(key))
    heap[:] = keys


def offer_plain(
    scores: npt.NDArray[np.uint32],
    first: int,
    insertion: npt.NDArray[np.uint32],
    admission: Admission,
    heap: npt.NDArray[np.uint64],
) -> int:
    keys = heap.tolist()
    for i, score in enumerate(scores.tolist()):
        if score >= int(admission.initial_threshold) and is_allowed(admission.allowed, first + i):
            keys.append(key_of_plain(score, admission.base + int(insertion[first + i])))
    heap[:] = sorted(keys)[len(keys) - len(heap) :]
    scores[:] = 0
    return threshold_plain(admission, heap)


def threshold_plain(admission: Admission, heap: npt.NDArray[np.uint64]) -> int:
    return max(int(admission.initial_threshold), int(heap[0]) >> 32)


def search_plain(
    postings: Postings,
    terms: npt.NDArray[np.int64],
    weights: npt.NDArray[np.uint32],
    admission: Admission,
    heap: npt.NDArray[np.uint64],
    scratch: Scratch | None = None,
) -> None:
    """Offer every document of a segment, with its score, to the heap."""
    scores = np.array(scores_of(postings, terms.tolist(), weights.tolist()), np.uint32)
    offer_plain(scores, 0, postings.insertion, admission, heap)


def rank_by_matrix(
    matrix: npt.NDArray[np.uint8],
    terms: npt.NDArray[np.int64],
    weights: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.bool_],
    initial_threshold: int,
    k: int,
) -> list[tuple[int, int]]:
    """Return (score, position) of the k best, from the documents × terms matrix in the order of insertion."""
    scores = matrix[:, terms].astype(np.uint64) @ weights.astype(np.uint64)
    order = np.lexsort((np.arange(len(scores)), -scores.astype(np.int64)))
    order = order[(scores[order] > 0) & (scores[order] >= initial_threshold) & allowed[order]][:k]
    return list(zip(scores[order].tolist(), order.tolist(), strict=True))


def steps_plain(row_weights: Sequence[int], rare_weights: Sequence[int]) -> tuple[list[int], int, list[int], int]:
    """Return the weights of frequent terms in coarse steps, `finer`, those of rare ones in steps, and `unit`."""
    unit, finer = max([1, *(row_weights or rare_weights)]), FINEST

    def in_steps(weights: Sequence[int], to_a_unit: int) -> list[int]:
        return [-(-weight * to_a_unit // unit) for weight in weights]

    while True:
        fine = LARGEST_WEIGHT << finer
        rare = in_steps(rare_weights, fine)
        if len(row_weights) * fine * 255 + STEPS_IN_A_BLOCK * sum(rare) < 2**32:
            return in_steps(row_weights, LARGEST_WEIGHT), finer, rare, unit
        finer, unit = (finer - 1, unit) if finer else (0, unit * 2)


def rare_in_blocks_plain(postings: Postings, term: int) -> npt.NDArray[np.int64]:
    """Return what a rare term adds to each block's bound, with weight 1: its last impact, and every fall before."""
    of_blocks: dict[int, list[int]] = {}
    for doc_ord, impact in zip(*posting_list(postings, term), strict=True):
        of_blocks.setdefault(int(doc_ord) // BLOCK, []).append(int(impact))
    added = np.zeros(-(-len(postings.insertion) // SUPERBLOCK) * SUPERBLOCK_BLOCKS, np.int64)
    for block, impacts in of_blocks.items():
        added[block] = impacts[-1] + sum(max(0, a - b) for a, b in pairwise(impacts))
    return added


def upper_bounds_plain(postings: Postings, terms: Sequence[int], weights: Sequence[int]) -> tuple[list[int], int, int]:
    """Return the upper bound of every superblock in steps, `fine` and `unit`."""
    frequent, row_weights, rare, rare_weights = split_terms_plain(postings, terms, weights)
    coarse, finer, steps, unit = steps_plain(row_weights, rare_weights)
    bounds = np.zeros(-(-len(postings.insertion) // SUPERBLOCK) * SUPERBLOCK_BLOCKS, np.int64)
    for row, weight in zip(frequent, coarse, strict=True):
        bounds += postings.block_max[row].astype(np.int64) * (weight << finer)
    for rank, weight in zip(rare, steps, strict=True):
        term = int(np.flatnonzero(postings.row == -1 - rank)[0])
        bounds += weight * rare_in_blocks_plain(postings, term)
    return bounds.reshape(-1, SUPERBLOCK_BLOCKS).max(axis=1).tolist(), LARGEST_WEIGHT << finer, unit


def coarse_upper_bounds_plain(postings: Postings, terms: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Return the sum of each superblock's maxima and the most that the rare terms add to one of its blocks."""
    frequent, row_weights, rare, rare_weights = split_terms_plain(postings, terms, weights)
    coarse, finer, steps, _ = steps_plain(row_weights, rare_weights)
    n_superblocks = -(-len(postings.insertion) // SUPERBLOCK)
    upper_bounds, bounds = np.zeros(n_superblocks, np.int64), np.zeros(n_superblocks * SUPERBLOCK_BLOCKS, np.int64)
    for row, weight in zip(frequent, coarse, strict=True):
        upper_bounds += postings.superblock_max[row].astype(np.int64) * (weight << finer)
    for rank, weight in zip(rare, steps, strict=True):
        bounds += weight * rare_in_blocks_plain(postings, int(np.flatnonzero(postings.row == -1 - rank)[0]))
    found: list[int] = (upper_bounds + bounds.reshape(-1, SUPERBLOCK_BLOCKS).max(axis=1)).tolist()
    return found


def runs_plain(postings: Postings, terms: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return, of each rare term in each superblock, (which rare term, superblock, where its run starts)."""
    runs = []
    for i, term in enumerate(t for t in terms if postings.row[t] < 0):
        superblocks = posting_list(postings, term)[0] // SUPERBLOCK
        runs += [(i, s, int(np.searchsorted(superblocks, s))) for s in np.unique(superblocks).tolist()]
    return sorted(runs)


def split_terms_plain(postings: Postings, terms: Sequence[int], weights: Sequence[int]) -> tuple[list[Any], ...]:
    """Return frequent rows and their weights, and ranks among the rare and their weights."""
    frequent = [(int(postings.row[t]), w) for t, w in zip(terms, weights, strict=True) if postings.row[t] >= 0]
    rare = [(-1 - int(postings.row[t]), w) for t, w in zip(terms, weights, strict=True) if postings.row[t] < 0]
    return [r for r, _ in frequent], [w for _, w in frequent], [r for r, _ in rare], [w for _, w in rare]


def order_by_upper_bound_plain(upper_bounds: Sequence[int], threshold: int, top: int) -> tuple[list[int], int]:
    """Return the superblocks that reach the threshold in the order of their visit, and the bits of a bucket."""
    reaching = [s for s, upper_bound in enumerate(upper_bounds) if upper_bound >= threshold]
    shift = 0
    while (top - threshold) >> shift >= min(BUCKETS, max(len(reaching), 1)):
        shift += 1
    return sorted(reaching, key=lambda s: (top - upper_bounds[s]) >> shift), shift


def pages_plain(upper_bounds: Sequence[int], threshold: int) -> list[int]:
    """Return the pages of the superblocks whose upper bound reaches the threshold."""
    return sorted({s * SUPERBLOCK // PAGE for s, upper_bound in enumerate(upper_bounds) if upper_bound >= threshold})


def search_blockmax_plain(
    postings: Postings,
    terms: npt.NDArray[np.int64],
    weights: npt.NDArray[np.uint32],
    admission: Admission,
    heap: npt.NDArray[np.uint64],
    most: int,
) -> tuple[list[int], str]:
    """Leave the best documents in `heap`; return what is added to the visits, and how it ended.

    "nothing": no bound reaches the threshold. "visits": superblock by superblock. "pages": as no more is
    guessed than is known. "reached": pages, and k documents reach the guess. "again": pages, and fewer do.
    """
    scores = np.array(scores_of(postings, terms.tolist(), weights.tolist()), np.uint32)
    upper_bounds, fine, unit = upper_bounds_plain(postings, terms.tolist(), weights.tolist())
    if admission.allowed.size:
        upper_bounds = [bound if admission.allowed[s] else 0 for s, bound in enumerate(upper_bounds)]

    def threshold() -> int:
        return threshold_plain(admission, heap)

    def as_steps(score: int) -> int:
        return score * fine // unit

    def offer_run(size: int, number: int, least: int) -> None:
        own = scores[number * size : (number + 1) * size].copy()
        offered = Admission(admission.base, admission.allowed, np.uint64(least))
        offer_plain(own, number * size, postings.insertion, offered, heap)

    known, top = threshold(), max(upper_bounds, default=0)
    if top < max(as_steps(known), 1):
        return [0, 0, 0], "nothing"
    least = max(as_steps(known), 1)
    queue, shift = order_by_upper_bound_plain(upper_bounds, least, top)
    upper_bound = upper_bounds[queue[min(len(heap) // 4, len(queue) - 1)]]
    if sum(p >= max(upper_bound * int(PROMISED) // 16, least) for p in upper_bounds) <= most:
        scored = 0
        for superblock in queue:
            if top - ((top - upper_bounds[superblock]) >> shift << shift) < as_steps(threshold()):
                break
            if upper_bounds[superblock] >= as_steps(threshold()):
                offer_run(SUPERBLOCK, superblock, int(admission.initial_threshold))
                scored += 1
        return [len(queue), scored, 0], "visits"
    guess = max(upper_bound * int(SAFE) // 16 * unit // fine, known)
    before, pages = heap.copy(), pages_plain(upper_bounds, as_steps(guess))
    for page in pages:
        offer_run(PAGE, page, guess)
    if guess == known or threshold() >= guess:
        return [len(queue), 0, len(pages)], "pages" if guess == known else "reached"
    heap[:] = before
    all_pages = pages_plain(upper_bounds, least)
    for page in all_pages:
        offer_run(PAGE, page, int(admission.initial_threshold))
    return [len(queue), 0, len(pages) + len(all_pages)], "again"
