"""Exhaustive scoring, term at a time within windows of documents whose scores fit the first-level cache.

Exact by construction. Source of the windows: Mallia et al., "Faster Learned Sparse Retrieval with Block-Max
Pruning", SIGIR 2024, where they are the exhaustive baseline.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import RUN, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.packed_runs import add_run, run_mask
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.topk import offer, threshold_of

WINDOW = 4096
WINDOW_SUPERBLOCKS = WINDOW >> SUPERBLOCK_BITS
GROUP = 64


@kernel
def add_frequent(postings, row, weight, first, end, scores):
    """Add weight · impact to the scores of the documents first … end of one frequent term. first: of a superblock."""
    impacts = postings.frequent[postings.frequent_start[row] : postings.frequent_start[row + 1]]
    runs = postings.runs[row]
    superblock = first >> SUPERBLOCK_BITS
    impacts_ahead = impacts.size * WINDOW // postings.insertion.size
    for at in range(0, end - first, SUPERBLOCK):
        # What the term's next window reads: other terms come before it, so that the processor foresees nothing.
        prefetch(runs, min((superblock + WINDOW_SUPERBLOCKS) * RUN, runs.size))
        prefetch(impacts, min(np.int64(runs[superblock * RUN + 2]) + impacts_ahead, impacts.size))
        add_run(scores, at, impacts, np.int64(runs[superblock * RUN + 2]), run_mask(runs, superblock), weight)
        superblock += 1


@kernel
def search_exhaustive(postings, terms, weights, admission, heap, scratch):
    """Score every document that holds a query term, and leave the best in `heap`.

    terms: int64, ids within the segment; weights: uint32, Σ weight · 255 < 2³², so that no score overflows.
    admission: see `topk.Admission`. heap: uint64, (k). scratch: see `Scratch`.
    """
    n_docs = postings.insertion.size
    scores = scratch.window
    cursor = np.empty(terms.size, np.int64)
    for i in range(terms.size):
        row = postings.row[terms[i]]
        cursor[i] = postings.rare_start[-1 - row] if row < 0 else 0
    for first in range(0, n_docs, WINDOW):
        end = min(first + WINDOW, n_docs)
        for i in range(terms.size):
            weight = weights[i]
            row = postings.row[terms[i]]
            if row >= 0:
                add_frequent(postings, row, weight, first, end, scores)
                continue
            stop = postings.rare_start[-row]
            p = cursor[i]
            while p < stop and np.int64(postings.rare[p] >> np.uint32(8)) < end:
                posting = postings.rare[p]
                scores[np.int64(posting >> np.uint32(8)) - first] += weight * (posting & np.uint32(255))
                p += 1
            cursor[i] = p
        for group in range(0, end - first, GROUP):
            some = scores[group : group + GROUP]
            largest = np.uint32(0)
            for i in range(GROUP):
                largest = max(largest, some[i])
            if largest >= threshold_of(admission, heap):
                offer(some, first + group, postings.insertion, admission, heap)
            elif largest > 0:
                some[:] = 0
