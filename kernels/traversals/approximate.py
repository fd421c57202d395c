"""Block-max scoring that may miss documents, for less time: opt-in, and what it passed over is counted.

Three ways, which may be combined. *alpha* multiplies the bounds before they are compared with the threshold:
bounds are sums of maxima, and hardly any document has all of them (Broder et al., CIKM 2003; Mallia et
al., SIGIR 2024). *budget* ends the search after so many superblocks, the most promising ones first. *cut*
bounds by the heaviest terms only, and scores by all: the pruned first pass and full second one of two-step
search (Lassance et al., SIGIR 2024), a superblock at a time.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.blockmax import (
    bound_superblocks,
    order_by_peak,
    superblocks_at_least,
    threshold_in_steps,
    visit,
)
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import forbid


@kernel
def heaviest_first(rows, row_weights):
    """Sort rows by descending weight, both in place; of equal weights the earlier first."""
    for i in range(1, rows.size):
        row, weight = rows[i], row_weights[i]
        j = i
        while j > 0 and row_weights[j - 1] < weight:
            rows[j], row_weights[j] = rows[j - 1], row_weights[j - 1]
            j -= 1
        rows[j], row_weights[j] = row, weight


@kernel
def search_approximately(postings, terms, weights, base, allowed, floor, heap, scratch, visits, alpha, budget, cut):
    """Leave documents in `heap` that may not be the best, having scored fewer superblocks. Their scores are exact.

    alpha: from 0.01 to 1, by which bounds are multiplied. budget: the most superblocks to score. cut: how many
    frequent terms, the heaviest, to bound by, besides the rare ones; all are scored. visits: int64, (3):
    the superblocks whose bound by these terms reached the first threshold, those scored, and those passed over
    although their bound reaches the last threshold, are added. For the others see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    peaks = scratch.peaks[:n_superblocks]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    n_rows = rows.size
    if cut < n_rows:
        heaviest_first(rows, row_weights)
        n_rows = cut
    top, fine, unit = bound_superblocks(postings, rows[:n_rows], row_weights[:n_rows], rare, rare_weights, scratch)
    if allowed.size:
        top = forbid(peaks, allowed)
    steps = threshold_in_steps(floor, heap, fine, unit)
    if top < steps:
        return
    n = superblocks_at_least(peaks, steps, scratch.list)
    shift = order_by_peak(peaks, scratch.list[:n], steps, top, scratch.queue)
    queue = scratch.queue[:n]
    visits[0] += n
    query = (postings, rows, row_weights, rare, rare_weights)
    relaxed = np.uint64(np.ceil(np.float64(fine) / alpha))
    visits[1] += visit(query, top, shift, queue, base, allowed, floor, heap, scratch, relaxed, unit, budget)
    steps = threshold_in_steps(floor, heap, fine, unit)
    for superblock in queue:
        visits[2] += peaks[np.int64(superblock)] >= steps
