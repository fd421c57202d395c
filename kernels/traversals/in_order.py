"""Scoring of superblocks term at a time, in the order of memory: where bounds leave many of them.

One by one, in descending order of their bounds, fewer are scored, but each costs about twice as much: a term's runs lie
apart, and what one reads is of no use to the next. A window of superblocks is scored at a time, those whose bound
reaches the threshold by then.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import RUN, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.packed_runs import add_run, run_mask
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.account import add_superblock
from lsr.kernels.traversals.query_terms import RARE_SUPERBLOCK
from lsr.kernels.traversals.superblock_bounds import as_steps, largest
from lsr.kernels.traversals.topk import offer, threshold_of

AHEAD_IMPACTS = 4
"""Superblocks ahead at which a run's impacts are prefetched."""


@kernel
def add_runs_of(postings, row, weight, superblocks, following, scores):
    """Add a frequent term to the scores of some superblocks. scores: uint32 (superblocks.size · SUPERBLOCK).

    following: the superblocks that come next, whose runs are prefetched.
    """
    impacts = postings.frequent[postings.frequent_start[row] : postings.frequent_start[row + 1]]
    runs = postings.runs[row]
    for i in range(superblocks.size):
        s = np.int64(superblocks[i])
        if i < following.size:
            prefetch(runs, np.int64(following[i]) * RUN)
        if i + AHEAD_IMPACTS < superblocks.size:
            prefetch(impacts, np.int64(runs[np.int64(superblocks[i + AHEAD_IMPACTS]) * RUN + 2]))
        add_run(scores, i * SUPERBLOCK, impacts, np.int64(runs[s * RUN + 2]), run_mask(runs, s), weight)


@kernel
def add_rare_runs_of(postings, rank, weight, place, superblocks, scores):
    """Add a rare term to the scores of some superblocks. place: where its run in each one starts: see `Scratch`."""
    start, stop = postings.rare_start[rank], postings.rare_start[rank + 1]
    for i in range(superblocks.size):
        s = np.int64(superblocks[i])
        p = start + np.int64(place[s])
        while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == s:
            posting = postings.rare[p]
            at = i * SUPERBLOCK + np.int64((posting >> np.uint32(8)) & np.uint32(SUPERBLOCK - 1))
            scores[at] += weight * (posting & np.uint32(255))
            p += 1


@kernel
def score_in_order(postings, query, superblocks, admission, heap, scratch, scale, step=0, account=None):
    """Score those superblocks whose bound reaches the threshold when their window comes; return their number.

    query: see `QueryTerms`. superblocks: uint32, ascending. scale: see `as_steps`. scratch: its window is used, and its
    upper_bounds and places as they were computed; the bound of a superblock that was scored becomes 0. step, account:
    see `visit`.
    """
    insertion, upper_bounds, window = postings.insertion, scratch.upper_bounds, scratch.window
    at_once = window.size // SUPERBLOCK
    some = np.empty(at_once, np.uint32)
    scored, i = 0, 0
    while i < superblocks.size:
        threshold = threshold_of(admission, heap)
        steps = as_steps(threshold, scale)
        n = 0
        while i < superblocks.size and n < at_once:
            s = np.int64(superblocks[i])
            i += 1
            if upper_bounds[s] >= steps and (admission.allowed.size == 0 or admission.allowed[s] != 0):
                some[n] = s
                n += 1
                upper_bounds[s] = 0
        now, following, scores = some[:n], superblocks[i : i + at_once], window[: n * SUPERBLOCK]
        for t in range(query.rows.size):
            add_runs_of(postings, query.rows[t], query.row_weights[t], now, following, scores)
        for t in range(query.rare.size):
            add_rare_runs_of(postings, query.rare[t], query.rare_weights[t], scratch.places[t], now, scores)
        for j in range(n):
            s = np.int64(now[j])
            add_superblock(account, step, postings, query, s, scratch.places)
            few = scores[j * SUPERBLOCK : (j + 1) * SUPERBLOCK]
            if largest(few) >= threshold:
                first = s << SUPERBLOCK_BITS
                threshold = offer(few[: insertion.size - first], first, insertion, admission, heap)
            else:
                few[:] = 0
        scored += n
    return scored
