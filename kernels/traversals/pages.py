"""Scoring of pages term at a time, in the order of memory: for queries whose bounds leave many to score.

Out of order a superblock costs several times what it costs in a stream. So where bounds leave many to score, the
pages that hold them are scored in order, from a threshold that is a guess (see `blockmax.SAFE`); if k documents reach
it nothing was missed, else everything is scored again.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import PAGE, PAGE_BITS, PAGE_SUPERBLOCKS, RUN, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.packed_runs import add_run, run_mask
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.query_terms import RARE_SUPERBLOCK
from lsr.kernels.traversals.topk import offer, threshold_of

GROUP = 64
AHEAD_IMPACTS = 4
"""Pages ahead at which the first impacts are prefetched."""


@kernel
def pages_at_least(upper_bounds, threshold, pages):
    """Write to `pages` (uint32) those with an upper bound ≥ threshold, ascending; return the count.

    The rest of the buffer is undefined.
    """
    n = 0
    whole = upper_bounds.size // PAGE_SUPERBLOCKS
    for page in range(whole):
        s = page * PAGE_SUPERBLOCKS
        pages[n] = page
        first, second = max(upper_bounds[s], upper_bounds[s + 1]), max(upper_bounds[s + 2], upper_bounds[s + 3])
        n += max(first, second) >= threshold
    for s in range(whole * PAGE_SUPERBLOCKS, upper_bounds.size):
        if upper_bounds[s] >= threshold:
            pages[n] = whole
            return n + 1
    return n


@kernel
def add_runs(postings, row, weight, pages, following, n_superblocks, scores):
    """Add a frequent term to the scores of some pages. scores: uint32 (pages.size · PAGE).

    following: the pages that come next, whose runs are prefetched.
    """
    impacts = postings.frequent[postings.frequent_start[row] : postings.frequent_start[row + 1]]
    runs = postings.runs[row]
    for i in range(pages.size):
        page = np.int64(pages[i])
        at = i << PAGE_BITS
        if i < following.size:
            prefetch(runs, np.int64(following[i]) * (PAGE_SUPERBLOCKS * RUN))
        if i + AHEAD_IMPACTS < pages.size:
            prefetch(impacts, np.int64(runs[np.int64(pages[i + AHEAD_IMPACTS]) * (PAGE_SUPERBLOCKS * RUN) + 2]))
        for s in range(page * PAGE_SUPERBLOCKS, min((page + 1) * PAGE_SUPERBLOCKS, n_superblocks)):
            add_run(scores, at, impacts, np.int64(runs[s * RUN + 2]), run_mask(runs, s), weight)
            at += SUPERBLOCK


@kernel
def add_rare_runs(postings, rank, weight, place, pages, n_superblocks, scores):
    """Add a rare term to the scores of some pages. place: where its run in each superblock starts: see `Scratch`."""
    start, stop = postings.rare_start[rank], postings.rare_start[rank + 1]
    for i in range(pages.size):
        page = np.int64(pages[i])
        base = i << PAGE_BITS
        for s in range(page * PAGE_SUPERBLOCKS, min((page + 1) * PAGE_SUPERBLOCKS, n_superblocks)):
            p = start + np.int64(place[s])
            while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == s:
                posting = postings.rare[p]
                scores[base + ((posting >> np.uint32(8)) & np.uint32(PAGE - 1))] += weight * (posting & np.uint32(255))
                p += 1


@kernel
def score_pages(postings, query, pages, admission, heap, scratch):
    """Score whole pages, ascending, and leave the best of their documents in `heap`.

    query: see `QueryTerms`. scratch: its window is used, and its places as `add_rare_to_blocks` wrote them.
    """
    insertion, window = postings.insertion, scratch.window
    n_superblocks = (insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    at_once = window.size // PAGE
    for first in range(0, pages.size, at_once):
        some = pages[first : first + at_once]
        following = pages[first + some.size : first + some.size + at_once]
        scores = window[: some.size * PAGE]
        for i in range(query.rows.size):
            add_runs(postings, query.rows[i], query.row_weights[i], some, following, n_superblocks, scores)
        for i in range(query.rare.size):
            place = scratch.places[i]
            add_rare_runs(postings, query.rare[i], query.rare_weights[i], place, some, n_superblocks, scores)
        for i in range(some.size):
            doc = np.int64(some[i]) << PAGE_BITS
            end = min(PAGE, insertion.size - doc)
            for group in range(0, end, GROUP):
                few = scores[i * PAGE + group : i * PAGE + min(group + GROUP, end)]
                largest = np.uint32(0)
                for j in range(few.size):
                    largest = few[j] if few[j] > largest else largest
                if largest >= threshold_of(admission, heap):
                    offer(few, doc + group, insertion, admission, heap)
                elif largest > 0:
                    few[:] = 0
