"""Block-max pruned scoring: exact, and reads only superblocks that may hold one of the k best.

Bounds of all blocks come first; then superblocks are scored in (nearly) descending order of their largest bound,
until that falls below the threshold. Only a bound strictly below the threshold skips.
Source: Mallia et al., "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024; scoring whole superblocks
from short runs of the inverted index, rather than blocks from a forward index, is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import RUN, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.packed_runs import add_run, run_mask
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.account import add_superblock
from lsr.kernels.traversals.pages import pages_at_least, score_pages
from lsr.kernels.traversals.query_terms import RARE_SUPERBLOCK, split_terms
from lsr.kernels.traversals.superblock_bounds import (
    BoundTerms,
    add_rare_to_blocks,
    as_steps,
    find_upper_bounds,
    forbid,
    largest,
    scale_of,
    steps_of,
)
from lsr.kernels.traversals.topk import Admission, offer, threshold_of

BUCKETS = 1024
AHEAD_RUNS, AHEAD_IMPACTS = 6, 3
"""Visits ahead at which what describes runs, and their impacts, are prefetched."""
PROMISED, SAFE = np.uint64(12), np.uint64(10)
"""The final threshold over the (k / 4)-th largest bound, in sixteenths: in the middle, and hardly ever less."""
RUN_LINE = 32
"""Bytes behind a run's first impact at which another cache line is prefetched: most runs end before."""


class Visits(NamedTuple):
    """An order of superblocks to score.

    queue: uint32, superblocks in descending buckets of their upper bounds. top: uint32, the largest of these bounds.
    shift: uint64, superblocks s, u are in one bucket if (top − upper bound) >> shift agrees.
    """

    queue: npt.NDArray[np.uint32]
    top: np.uint32
    shift: np.uint64


@kernel
def threshold_in_steps(admission, heap, scale):
    """Return the steps, at least 1, that a bound has to reach for its superblock to be scored. See `as_steps`."""
    return max(as_steps(threshold_of(admission, heap), scale), np.uint64(1))


@kernel
def bucket_shift(threshold, top, n_buckets):
    """Return the least shift for which (top − threshold) >> shift is less than n_buckets."""
    shift = np.uint64(0)
    while (np.uint64(top) - threshold) >> shift >= n_buckets:
        shift += np.uint64(1)
    return shift


@kernel
def superblocks_at_least(upper_bounds, threshold, superblocks):
    """Write to `superblocks` (uint32) those with a bound ≥ threshold, ascending; return the count.

    The rest of the buffer is undefined.
    """
    n = 0
    for s in range(upper_bounds.size):  # without a branch: written where the next one will be, counted if it is one
        superblocks[n] = s
        n += upper_bounds[s] >= threshold
    return n


@kernel
def order_by_upper_bound(upper_bounds, superblocks, threshold, top, queue):
    """Write to `queue` some superblocks, none with a bound below the threshold, in descending buckets of bounds.

    top: the largest of their bounds. There are as many buckets as superblocks, BUCKETS at most. Returns the shift of
    `Visits`.
    """
    n_buckets = min(BUCKETS, max(superblocks.size, 1))
    shift = bucket_shift(threshold, top, n_buckets)
    start = np.zeros(n_buckets + 1, np.int64)
    for s in superblocks:
        start[(np.uint64(top - upper_bounds[np.int64(s)]) >> shift) + np.uint64(1)] += 1
    for i in range(n_buckets):
        start[i + 1] += start[i]
    for s in superblocks:
        bucket = np.uint64(top - upper_bounds[np.int64(s)]) >> shift
        queue[start[bucket]] = s
        start[bucket] += 1
    return shift


@kernel
def prefetch_runs(postings, rows, superblock):
    """Prefetch what describes the frequent terms' runs in a superblock."""
    for row in rows:
        prefetch(postings.runs[row], superblock * RUN)


@kernel
def prefetch_impacts(postings, rows, superblock):
    """Prefetch the impacts of the frequent terms' runs in a superblock, once what describes them is cached."""
    for row in rows:
        start = postings.frequent_start[row] + np.int64(postings.runs[row, superblock * RUN + 2])
        prefetch(postings.frequent, start)
        prefetch(postings.frequent, start + RUN_LINE)


@kernel
def score_superblock(postings, query, superblock, places, scores):
    """Add to scores (uint32, SUPERBLOCK) those of all documents of a superblock.

    query: see `QueryTerms`. places: as `add_rare_to_blocks` wrote them.
    """
    for i in range(query.rows.size):
        row = query.rows[i]
        runs = postings.runs[row]
        start = postings.frequent_start[row] + np.int64(runs[superblock * RUN + 2])
        add_run(scores, 0, postings.frequent, start, run_mask(runs, superblock), query.row_weights[i])
    for i in range(query.rare.size):
        weight, rank = query.rare_weights[i], query.rare[i]
        start, stop = postings.rare_start[rank], postings.rare_start[rank + 1]
        p = start + np.int64(places[i, superblock])
        while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == superblock:
            posting = postings.rare[p]
            scores[(posting >> np.uint32(8)) & np.uint32(SUPERBLOCK - 1)] += weight * (posting & np.uint32(255))
            p += 1


@kernel
def count_at_least(upper_bounds, threshold):
    """Return the number of bounds that are at least the threshold."""
    n = 0
    for upper_bound in upper_bounds:
        n += upper_bound >= threshold
    return n


@kernel
def visit(postings, query, order, admission, heap, scratch, scale, budget, step=0, account=None):
    """Score the superblocks of an order whose bound reaches the threshold when their turn comes; return the count.

    query: see `QueryTerms`; order: see `Visits`; scale: see `as_steps`. It stops at the first bucket that lies below
    the threshold as a whole, or when `budget` superblocks were scored. The bound of a superblock that was scored
    becomes 0. account: of `lsr.kernels.traversals.account`, to whose `step` what is read is added, or None.
    """
    n_docs = postings.insertion.size
    queue, top = order.queue, order.top
    upper_bounds, scores = scratch.upper_bounds, scratch.window[:SUPERBLOCK]
    threshold = threshold_of(admission, heap)
    steps = as_steps(threshold, scale)
    scored = 0
    for i in range(queue.size):
        superblock = np.int64(queue[i])
        if i + AHEAD_RUNS < queue.size:
            prefetch_runs(postings, query.rows, np.int64(queue[i + AHEAD_RUNS]))
        if i + AHEAD_IMPACTS < queue.size:
            prefetch_impacts(postings, query.rows, np.int64(queue[i + AHEAD_IMPACTS]))
        upper_bound = upper_bounds[superblock]
        if upper_bound < steps:
            most_in_bucket = np.uint64(top) - (np.uint64(top - upper_bound) >> order.shift << order.shift)
            if most_in_bucket < steps:
                break
            continue
        if scored == budget:
            break
        upper_bounds[superblock] = 0
        if admission.allowed.size and admission.allowed[superblock] == 0:
            continue
        scored += 1
        score_superblock(postings, query, superblock, scratch.places, scores)
        add_superblock(account, step, postings, query, superblock, scratch.places)
        if largest(scores) < threshold:
            scores[:] = 0
            continue
        first = superblock << SUPERBLOCK_BITS
        now = offer(scores[: n_docs - first], first, postings.insertion, admission, heap)
        if now != threshold:
            threshold = now
            steps = as_steps(threshold, scale)
    return scored


@kernel
def bound_superblocks(postings, query, scratch):
    """Set the upper bounds of all superblocks; return the largest, and their scale (see `as_steps`)."""
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    block_bounds = scratch.block_bounds[: n_superblocks * SUPERBLOCK_BLOCKS]
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    steps = steps_of(query.row_weights, query.rare_weights)
    add_rare_to_blocks(postings, query.rare, steps.rare, block_bounds, scratch.places)
    bounding = BoundTerms(query.rows, steps.coarse, steps.finer)
    top = find_upper_bounds(postings.block_max, bounding, block_bounds, upper_bounds, scratch.sums)
    return top, scale_of(steps)


@kernel
def search_blockmax(postings, terms, weights, admission, heap, scratch, visits, most):
    """Leave the best documents in `heap`, the same as `search_exhaustive` does, by fewer reads.

    If the bounds promise that more than `most` superblocks must be scored, their pages are scored in order
    (`lsr.kernels.traversals.pages`) instead of the superblocks by descending bound. visits: int64, (3): the
    superblocks at or above the initial threshold, those scored one by one, and pages scored, are added. For the other
    arguments see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    query = split_terms(postings, terms, weights)
    top, scale = bound_superblocks(postings, query, scratch)
    if admission.allowed.size:
        top = forbid(upper_bounds, admission.allowed)
    threshold = threshold_of(admission, heap)
    steps = threshold_in_steps(admission, heap, scale)
    if top < steps:
        return
    n = superblocks_at_least(upper_bounds, steps, scratch.list)
    shift = order_by_upper_bound(upper_bounds, scratch.list[:n], steps, top, scratch.queue)
    visits[0] += n
    promising = np.uint64(upper_bounds[np.int64(scratch.queue[min(heap.size // 4, n - 1)])])
    if count_at_least(upper_bounds, max(promising * PROMISED // np.uint64(16), steps)) <= most:
        order = Visits(scratch.queue[:n], top, shift)
        visits[1] += visit(postings, query, order, admission, heap, scratch, scale, n)
        return
    queue = scratch.queue
    guess = max(promising * SAFE // np.uint64(16) * scale.unit // scale.fine, threshold)
    before = heap.copy()
    pages = queue[: pages_at_least(upper_bounds, as_steps(guess, scale), queue)]
    visits[2] += pages.size
    score_pages(postings, query, pages, Admission(admission.base, admission.allowed, guess), heap, scratch)
    if heap[0] >> np.uint64(32) < guess and guess > threshold:
        heap[:] = before
        pages = queue[: pages_at_least(upper_bounds, steps, queue)]
        visits[2] += pages.size
        score_pages(postings, query, pages, admission, heap, scratch)
