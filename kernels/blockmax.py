"""Block-max pruned scoring: exact, and reads only superblocks that may hold one of the k best.

Bounds of all blocks come first; then superblocks are scored in (nearly) descending order of their
largest bound, until that falls below the threshold. Only a bound strictly below the threshold skips.
Source: Mallia et al., "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024; scoring
whole superblocks from short runs of the inverted index, rather than blocks from a forward index, is ours.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.bounds import RARE_SUPERBLOCK, bound_frequent, bound_rare, largest_of_superblocks, split_terms
from lsr.kernels.compile import kernel
from lsr.kernels.layout import SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.prefetch import prefetch
from lsr.kernels.topk import offer

BUCKETS = 1024
AHEAD_RUNS, AHEAD_POSTINGS = 4, 2
"""How many visits ahead the starts of runs, and the runs, are asked for."""


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
def prefetch_runs(postings, rows, rare, superblock, scratch):
    """Ask for the first postings of all terms' runs in a superblock."""
    for row in rows:
        prefetch(postings.frequent, postings.frequent_start[row] + postings.run_start[row, superblock])
    node = scratch.head[superblock]
    while node:
        start = postings.rare_start[rare[scratch.node_term[node]]]
        prefetch(postings.rare, start + scratch.node_start[node])
        node = scratch.node_next[node]


@kernel
def score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch, scores):
    """Add to scores (uint32, SUPERBLOCK) those of all documents of a superblock. Needs the notes of `bound_rare`."""
    for i in range(rows.size):
        weight = row_weights[i]
        start = postings.frequent_start[rows[i]]
        runs = postings.run_start[rows[i]]
        for p in range(start + runs[superblock], start + runs[superblock + 1]):
            posting = postings.frequent[p]
            scores[(posting >> 8) & (SUPERBLOCK - 1)] += weight * np.uint32(posting & 255)
    node = scratch.head[superblock]
    while node:
        term = scratch.node_term[node]
        weight = rare_weights[term]
        stop = postings.rare_start[rare[term] + 1]
        p = postings.rare_start[rare[term]] + scratch.node_start[node]
        while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == superblock:
            posting = postings.rare[p]
            scores[(posting >> np.uint32(8)) & np.uint32(SUPERBLOCK - 1)] += weight * (posting & np.uint32(255))
            p += 1
        node = scratch.node_next[node]


@kernel
def search_blockmax(postings, terms, weights, base, allowed, floor, heap, scratch, visits):
    """Leave the best documents in `heap`; the same as `search_exhaustive` does, by fewer reads.

    visits: int64, (2): the number of superblocks at or above the first threshold, and of those scored,
    are added to it. For the rest see `search_exhaustive`.
    """
    n_docs = postings.insertion.size
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    bound_frequent(postings.block_max, rows, row_weights, scratch.bounds)
    bound_rare(postings, rare, rare_weights, scratch)
    top = largest_of_superblocks(scratch.bounds, scratch.peaks)
    threshold = max(floor, heap[0] >> np.uint64(32))
    if top >= threshold:
        n, shift = order_by_peak(scratch.peaks, threshold, top, scratch.queue)
        scores = scratch.window[:SUPERBLOCK]
        scored = 0
        for i in range(n):
            superblock = np.int64(scratch.queue[i])
            if i + AHEAD_RUNS < n:
                prefetch_run_starts(postings, rows, np.int64(scratch.queue[i + AHEAD_RUNS]))
            if i + AHEAD_POSTINGS < n:
                prefetch_runs(postings, rows, rare, np.int64(scratch.queue[i + AHEAD_POSTINGS]), scratch)
            peak = scratch.peaks[superblock]
            if peak < threshold:
                most_in_bucket = np.uint64(top) - (np.uint64(top - peak) >> shift << shift)
                if most_in_bucket < threshold:
                    break
                continue
            if allowed.size and allowed[superblock] == 0:
                continue
            scored += 1
            score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch, scores)
            first = superblock << SUPERBLOCK_BITS
            threshold = offer(scores[: n_docs - first], first, postings.insertion, base, allowed, floor, heap)
        visits[0] += n
        visits[1] += scored
    scratch.head[:] = 0
