"""Block-max pruned scoring: exact, and reads only superblocks that may hold one of the k best.

Bounds of all blocks come first; then superblocks are scored in (nearly) descending order of their
largest bound, until that falls below the threshold. Only a bound strictly below the threshold skips.
Source: Mallia et al., "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024; scoring
whole superblocks from short runs of the inverted index, rather than blocks from a forward index, is ours.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.bounds import RARE_BLOCK, RARE_SUPERBLOCK, add_frequent, add_rare, largest_of_superblocks, split_terms
from lsr.kernels.compile import kernel
from lsr.kernels.layout import BLOCKS, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.prefetch import prefetch
from lsr.kernels.topk import offer

BUCKETS = 1024
AHEAD_RUN_STARTS, AHEAD_RUNS = 4, 2
"""How many visits ahead the starts of runs, and the runs, are asked for."""
FAIR_FIRST, FAIR_SHARE = 16, 16
"""The threshold is fair after FAIR_FIRST + k / FAIR_SHARE superblocks, the most promising ones."""
RUN_LINE = 16
"""Postings of a run that is likely to lie in one cache line."""


@kernel
def order_by_peak(peaks, threshold, top, queue):
    """Write to `queue` the superblocks whose peak is ≥ threshold, in descending buckets of peaks.

    Returns how many, and `shift`: superblocks s, u are in one bucket if (top − peak) >> shift agrees.
    """
    shift = np.uint64(0)
    while (np.uint64(top) - threshold) >> shift >= BUCKETS:
        shift += np.uint64(1)
    start = np.zeros(BUCKETS + 1, np.int64)
    for s in range(peaks.size):
        if peaks[s] >= threshold:
            start[(np.uint64(top - peaks[s]) >> shift) + np.uint64(1)] += 1
    for i in range(BUCKETS):
        start[i + 1] += start[i]
    n = start[BUCKETS]
    for s in range(peaks.size):
        if peaks[s] >= threshold:
            bucket = np.uint64(top - peaks[s]) >> shift
            queue[start[bucket]] = s
            start[bucket] += 1
    return n, shift


@kernel
def prefetch_run_starts(postings, rows, superblock):
    """Ask for the starts of all frequent terms' runs in a superblock."""
    for row in rows:
        prefetch(postings.run_start[row], superblock)


@kernel
def prefetch_runs(postings, rows, superblock):
    """Ask for the frequent terms' runs in a superblock, whose starts are at hand: each one's two ends."""
    for row in rows:
        start = postings.frequent_start[row]
        begin, end = postings.run_start[row, superblock], postings.run_start[row, superblock + 1]
        prefetch(postings.frequent, start + begin)
        if end - begin > RUN_LINE:
            prefetch(postings.frequent, start + end - 1)


@kernel
def score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, places, scores):
    """Add to scores (uint32, SUPERBLOCK) those of all documents of a superblock. places: filled by `add_rare`."""
    for i in range(rows.size):
        weight = row_weights[i]
        start = postings.frequent_start[rows[i]]
        for p in range(
            start + postings.run_start[rows[i], superblock], start + postings.run_start[rows[i], superblock + 1]
        ):
            posting = postings.frequent[p]
            scores[(posting >> 8) & (SUPERBLOCK - 1)] += weight * np.uint32(posting & 255)
    for i in range(rare.size):
        weight = rare_weights[i]
        start, stop = postings.rare_start[rare[i]], postings.rare_start[rare[i] + 1]
        p = start + np.int64(places[i, superblock])
        while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == superblock:
            posting = postings.rare[p]
            scores[(posting >> np.uint32(8)) & np.uint32(SUPERBLOCK - 1)] += weight * (posting & np.uint32(255))
            p += 1


@kernel
def still_at_least(peaks, superblocks, threshold):
    """Return how many of the superblocks have a peak of at least the threshold."""
    n = 0
    for superblock in superblocks:
        n += peaks[superblock] >= threshold
    return n


@kernel
def search_blockmax(postings, terms, weights, base, allowed, floor, heap, scratch, visits, most):
    """Leave the best documents in `heap`, the same as `search_exhaustive` does, by fewer reads; return 0.

    Once it has a fair threshold, it gives up if more than `most` superblocks are still to be scored: it
    returns the threshold, above 0, which some k documents reach, and what is in the heap is of no use.
    visits: int64, (2): the superblocks at or above the first threshold, and those scored, are added.
    For the other arguments see `search_exhaustive`.
    """
    n_docs = postings.insertion.size
    n_superblocks = (n_docs + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    bounds, peaks = scratch.bounds[: n_superblocks * BLOCKS], scratch.peaks[:n_superblocks]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    bounds[:] = 0
    add_rare(postings, rare, rare_weights, RARE_BLOCK, bounds, scratch.places)
    add_frequent(postings.block_max, rows, row_weights, bounds)
    top = largest_of_superblocks(bounds, peaks)
    threshold = max(floor, heap[0] >> np.uint64(32))
    if top < threshold:
        return np.uint64(0)
    n, shift = order_by_peak(peaks, threshold, top, scratch.queue)
    scores = scratch.window[:SUPERBLOCK]
    scored = 0
    fair = FAIR_FIRST + heap.size // FAIR_SHARE
    for i in range(n):
        if i == fair and n - i > most and still_at_least(peaks, scratch.queue[i:n], threshold) > most:
            return threshold
        superblock = np.int64(scratch.queue[i])
        if i + AHEAD_RUN_STARTS < n:
            prefetch_run_starts(postings, rows, np.int64(scratch.queue[i + AHEAD_RUN_STARTS]))
        if i + AHEAD_RUNS < n:
            prefetch_runs(postings, rows, np.int64(scratch.queue[i + AHEAD_RUNS]))
        peak = peaks[superblock]
        if peak < threshold:
            most_in_bucket = np.uint64(top) - (np.uint64(top - peak) >> shift << shift)
            if most_in_bucket < threshold:
                break
            continue
        if allowed.size and allowed[superblock] == 0:
            continue
        scored += 1
        score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch.places, scores)
        first = superblock << SUPERBLOCK_BITS
        threshold = offer(scores[: n_docs - first], first, postings.insertion, base, allowed, floor, heap)
    visits[0] += n
    visits[1] += scored
    return np.uint64(0)
