"""Block-max pruned scoring: exact, and reads only superblocks that may hold one of the k best.

Bounds of all blocks come first; then superblocks are scored in (nearly) descending order of their
largest bound, until that falls below the threshold. Only a bound strictly below the threshold skips.
Source: Mallia et al., "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024; scoring
whole superblocks from short runs of the inverted index, rather than blocks from a forward index, is ours.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import RUN, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.packed_runs import add_run, run_mask
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.pages import pages_at_least, score_pages
from lsr.kernels.traversals.query_terms import RARE_SUPERBLOCK, split_terms
from lsr.kernels.traversals.superblock_bounds import (
    LARGEST_WEIGHT,
    add_rare_to_blocks,
    as_steps,
    find_peaks,
    forbid,
    steps_of,
)
from lsr.kernels.traversals.topk import offer

BUCKETS = 1024
AHEAD_RUNS, AHEAD_IMPACTS = 6, 3
"""How many visits ahead what describes runs, and their impacts, are asked for."""
PROMISED, SAFE = np.uint64(12), np.uint64(10)
"""In sixteenths, the final threshold over the (k / 4)-th largest peak: in the middle, and hardly ever less."""
RUN_LINE = 32
"""How far behind a run's first impact to ask for another cache line: most runs end before."""


@kernel
def threshold_in_steps(floor, heap, fine, unit):
    """Return the steps, at least 1, that a peak has to reach for its superblock to be scored. See `as_steps`."""
    return max(as_steps(max(floor, heap[0] >> np.uint64(32)), fine, unit), np.uint64(1))


@kernel
def bucket_shift(threshold, top, n_buckets):
    """Return the least shift for which (top − threshold) >> shift is less than n_buckets."""
    shift = np.uint64(0)
    while (np.uint64(top) - threshold) >> shift >= n_buckets:
        shift += np.uint64(1)
    return shift


@kernel
def superblocks_at_least(peaks, threshold, superblocks):
    """Write to `superblocks` (uint32) those with a peak ≥ threshold, ascending, and rubbish behind; return how many."""
    n = 0
    for s in range(peaks.size):  # without a branch: written where the next one will be, counted if it is one
        superblocks[n] = s
        n += peaks[s] >= threshold
    return n


@kernel
def order_by_peak(peaks, superblocks, threshold, top, queue):
    """Write to `queue` some superblocks, none with a peak below the threshold, in descending buckets of peaks.

    top: the largest of their peaks. There are as many buckets as superblocks, BUCKETS at most. Returns `shift`:
    superblocks s, u are in one bucket if (top − peak) >> shift agrees.
    """
    n_buckets = min(BUCKETS, max(superblocks.size, 1))
    shift = bucket_shift(threshold, top, n_buckets)
    start = np.zeros(n_buckets + 1, np.int64)
    for s in superblocks:
        start[(np.uint64(top - peaks[np.int64(s)]) >> shift) + np.uint64(1)] += 1
    for i in range(n_buckets):
        start[i + 1] += start[i]
    for s in superblocks:
        bucket = np.uint64(top - peaks[np.int64(s)]) >> shift
        queue[start[bucket]] = s
        start[bucket] += 1
    return shift


@kernel
def prefetch_runs(postings, rows, superblock):
    """Ask for what describes the frequent terms' runs in a superblock."""
    for row in rows:
        prefetch(postings.runs[row], superblock * RUN)


@kernel
def prefetch_impacts(postings, rows, superblock):
    """Ask for the impacts of the frequent terms' runs in a superblock, what describes them being at hand."""
    for row in rows:
        start = postings.frequent_start[row] + np.int64(postings.runs[row, superblock * RUN + 2])
        prefetch(postings.frequent, start)
        prefetch(postings.frequent, start + RUN_LINE)


@kernel
def score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, places, scores):
    """Add to scores (uint32, SUPERBLOCK) those of all documents of a superblock. places: filled by `add_rare`."""
    for i in range(rows.size):
        runs = postings.runs[rows[i]]
        start = postings.frequent_start[rows[i]] + np.int64(runs[superblock * RUN + 2])
        add_run(scores, 0, postings.frequent, start, run_mask(runs, superblock), row_weights[i])
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
def visit(query, top, shift, queue, base, allowed, floor, heap, scratch, fine, unit, budget):
    """Score the superblocks of `queue`, in its order, whose peak reaches the threshold at that time.

    query: postings, rows, row_weights, rare, rare_weights. fine, unit: see `as_steps`. It stops at the first
    bucket (see `order_by_peak`) that lies below the threshold as a whole, or when `budget` superblocks were
    scored. The peak of a superblock that was scored becomes 0. Returns how many were.
    """
    postings, rows, row_weights, rare, rare_weights = query
    n_docs = postings.insertion.size
    peaks, scores = scratch.peaks, scratch.window[:SUPERBLOCK]
    threshold = max(floor, heap[0] >> np.uint64(32))
    steps = as_steps(threshold, fine, unit)
    scored = 0
    for i in range(queue.size):
        superblock = np.int64(queue[i])
        if i + AHEAD_RUNS < queue.size:
            prefetch_runs(postings, rows, np.int64(queue[i + AHEAD_RUNS]))
        if i + AHEAD_IMPACTS < queue.size:
            prefetch_impacts(postings, rows, np.int64(queue[i + AHEAD_IMPACTS]))
        peak = peaks[superblock]
        if peak < steps:
            most_in_bucket = np.uint64(top) - (np.uint64(top - peak) >> shift << shift)
            if most_in_bucket < steps:
                break
            continue
        if scored == budget:
            break
        peaks[superblock] = 0
        if allowed.size and allowed[superblock] == 0:
            continue
        scored += 1
        score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch.places, scores)
        first = superblock << SUPERBLOCK_BITS
        now = offer(scores[: n_docs - first], first, postings.insertion, base, allowed, floor, heap)
        if now != threshold:
            threshold = now
            steps = as_steps(threshold, fine, unit)
    return scored


@kernel
def bound_superblocks(postings, rows, row_weights, rare, rare_weights, scratch):
    """Set the peaks of all superblocks; return the largest, and `fine` and `unit` of `as_steps`."""
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    bounds, peaks = scratch.bounds[: n_superblocks * SUPERBLOCK_BLOCKS], scratch.peaks[:n_superblocks]
    coarse, finer, steps, unit = steps_of(row_weights, rare_weights)
    add_rare_to_blocks(postings, rare, steps, bounds, scratch.places)
    top = find_peaks(postings.block_max, rows, coarse, finer, bounds, peaks, scratch.sums)
    return top, np.uint64(LARGEST_WEIGHT) << np.uint64(finer), unit


@kernel
def search_blockmax(postings, terms, weights, base, allowed, floor, heap, scratch, visits, most):
    """Leave the best documents in `heap`, the same as `search_exhaustive` does, by fewer reads.

    If the bounds promise that more than `most` superblocks must be scored, their pages are scored in
    order (`lsr.kernels.traversals.pages`) instead of the superblocks by descending bound. visits: int64, (3): the
    superblocks at or above the first threshold, those scored one by one, and pages scored, are added.
    For the other arguments see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    peaks = scratch.peaks[:n_superblocks]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    query = (postings, rows, row_weights, rare, rare_weights)
    top, fine, unit = bound_superblocks(postings, rows, row_weights, rare, rare_weights, scratch)
    if allowed.size:
        top = forbid(peaks, allowed)
    threshold = max(floor, heap[0] >> np.uint64(32))
    steps = threshold_in_steps(floor, heap, fine, unit)
    if top < steps:
        return
    n = superblocks_at_least(peaks, steps, scratch.list)
    shift = order_by_peak(peaks, scratch.list[:n], steps, top, scratch.queue)
    visits[0] += n
    peak = np.uint64(peaks[np.int64(scratch.queue[min(heap.size // 4, n - 1)])])
    if count_at_least(peaks, max(peak * PROMISED // np.uint64(16), steps)) <= most:
        queue = scratch.queue[:n]
        visits[1] += visit(query, top, shift, queue, base, allowed, floor, heap, scratch, fine, unit, n)
        return
    places, queue, window = scratch.places, scratch.queue, scratch.window
    guess = max(peak * SAFE // np.uint64(16) * unit // fine, threshold)
    before = heap.copy()
    pages = queue[: pages_at_least(peaks, as_steps(guess, fine, unit), queue)]
    visits[2] += pages.size
    score_pages(
        postings,
        rows,
        row_weights,
        rare,
        rare_weights,
        places,
        pages,
        n_superblocks,
        base,
        allowed,
        guess,
        heap,
        window,
    )
    if heap[0] >> np.uint64(32) < guess and guess > threshold:
        heap[:] = before
        pages = queue[: pages_at_least(peaks, steps, queue)]
        visits[2] += pages.size
        score_pages(
            postings,
            rows,
            row_weights,
            rare,
            rare_weights,
            places,
            pages,
            n_superblocks,
            base,
            allowed,
            floor,
            heap,
            window,
        )
