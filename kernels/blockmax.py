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
from lsr.kernels.pages import pages_at_least, score_pages
from lsr.kernels.prefetch import prefetch
from lsr.kernels.topk import offer

BUCKETS = 1024
AHEAD_RUN_STARTS, AHEAD_RUNS = 6, 3
"""How many visits ahead the starts of runs, and the runs, are asked for."""
PROMISED, SAFE = np.uint64(12), np.uint64(10)
"""In sixteenths, the final threshold over the (k / 4)-th largest peak: in the middle, and hardly ever less."""
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
def count_at_least(peaks, threshold):
    """Return how many peaks are at least the threshold."""
    n = 0
    for peak in peaks:
        n += peak >= threshold
    return n


@kernel
def visit(postings, rows, row_weights, rare, rare_weights, top, shift, queue, base, allowed, floor, heap, scratch):
    """Score the superblocks of `queue`, in its order, whose peak reaches the threshold at that time.

    It stops at the first bucket (see `order_by_peak`) that lies below the threshold as a whole. The peak
    of a superblock that was scored becomes 0. Returns how many were scored.
    """
    n_docs = postings.insertion.size
    peaks, scores = scratch.peaks, scratch.window[:SUPERBLOCK]
    threshold = max(floor, heap[0] >> np.uint64(32))
    scored = 0
    for i in range(queue.size):
        superblock = np.int64(queue[i])
        if i + AHEAD_RUN_STARTS < queue.size:
            prefetch_run_starts(postings, rows, np.int64(queue[i + AHEAD_RUN_STARTS]))
        if i + AHEAD_RUNS < queue.size:
            prefetch_runs(postings, rows, np.int64(queue[i + AHEAD_RUNS]))
        peak = peaks[superblock]
        if peak < threshold:
            most_in_bucket = np.uint64(top) - (np.uint64(top - peak) >> shift << shift)
            if most_in_bucket < threshold:
                break
            continue
        peaks[superblock] = 0
        if allowed.size and allowed[superblock] == 0:
            continue
        scored += 1
        score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch.places, scores)
        first = superblock << SUPERBLOCK_BITS
        threshold = offer(scores[: n_docs - first], first, postings.insertion, base, allowed, floor, heap)
    return scored


@kernel
def search_blockmax(postings, terms, weights, base, allowed, floor, heap, scratch, visits, most):
    """Leave the best documents in `heap`, the same as `search_exhaustive` does, by fewer reads.

    If the bounds promise that more than `most` superblocks must be scored, their pages are scored in
    order (`lsr.kernels.pages`) instead of the superblocks by descending bound. visits: int64, (3): the
    superblocks at or above the first threshold, those scored one by one, and pages scored, are added.
    For the other arguments see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    bounds, peaks = scratch.bounds[: n_superblocks * BLOCKS], scratch.peaks[:n_superblocks]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    bounds[:] = 0
    add_rare(postings, rare, rare_weights, RARE_BLOCK, bounds, scratch.places)
    add_frequent(postings.block_max, rows, row_weights, bounds)
    top = largest_of_superblocks(bounds, peaks)
    threshold = max(floor, heap[0] >> np.uint64(32))
    if top < threshold:
        return
    n, shift = order_by_peak(peaks, threshold, top, scratch.queue)
    visits[0] += n
    query = (postings, rows, row_weights, rare, rare_weights)
    peak = np.uint64(peaks[np.int64(scratch.queue[min(heap.size // 4, n - 1)])])
    if count_at_least(peaks, max(peak * PROMISED // np.uint64(16), threshold)) <= most:
        visits[1] += visit(*query, top, shift, scratch.queue[:n], base, allowed, floor, heap, scratch)
        return
    places, queue, window = scratch.places, scratch.queue, scratch.window
    guess = max(peak * SAFE // np.uint64(16), threshold)
    before = heap.copy()
    pages = queue[: pages_at_least(peaks, guess, queue)]
    visits[2] += pages.size
    score_pages(*query, places, pages, n_superblocks, base, allowed, guess, heap, window)
    if heap[0] >> np.uint64(32) < guess and guess > threshold:
        heap[:] = before
        pages = queue[: pages_at_least(peaks, threshold, queue)]
        visits[2] += pages.size
        score_pages(*query, places, pages, n_superblocks, base, allowed, floor, heap, window)
