"""Block-max scoring that may miss documents, for less time: opt-in, and superblocks that it skips are counted.

Three limits, which may be combined. *alpha* multiplies the bounds before they are compared with the threshold: bounds
are sums of maxima, and hardly any document has all of them (Broder et al., CIKM 2003; Mallia et al., SIGIR 2024).
*budget* ends the search after so many superblocks, the most promising ones first. *cut* bounds by the heaviest terms
only, and scores by all: the pruned first pass and full second one of two-step search (Lassance et al., SIGIR 2024),
a superblock at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lsr.kernels.geometry import SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.blockmax import (
    Visits,
    bound_superblocks,
    order_by_upper_bound,
    superblocks_at_least,
    threshold_in_steps,
    visit,
)
from lsr.kernels.traversals.query_terms import QueryTerms, split_terms
from lsr.kernels.traversals.superblock_bounds import Scale, forbid


class Limits(NamedTuple):
    """The limits of an approximate search.

    alpha: from 0.01 to 1, by which bounds are multiplied. budget: the most superblocks to score. cut: the number of
    frequent terms, the heaviest ones, to bound by in addition to the rare ones; all are scored.
    """

    alpha: float
    budget: int
    cut: int


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
def search_approximately(postings, terms, weights, admission, heap, scratch, visits, limits):
    """Leave documents in `heap` that may not be the best, having scored fewer superblocks. Their scores are exact.

    limits: see `Limits`. visits: int64, (3): the superblocks whose bound by these terms reached the initial threshold,
    those scored, and those skipped although their bound reaches the last threshold, are added. For the others see
    `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    query = split_terms(postings, terms, weights)
    n_rows = query.rows.size
    if limits.cut < n_rows:
        heaviest_first(query.rows, query.row_weights)
        n_rows = limits.cut
    bounding = QueryTerms(query.rows[:n_rows], query.row_weights[:n_rows], query.rare, query.rare_weights)
    top, scale = bound_superblocks(postings, bounding, scratch)
    if admission.allowed.size:
        top = forbid(upper_bounds, admission.allowed)
    steps = threshold_in_steps(admission, heap, scale)
    if top < steps:
        return
    n = superblocks_at_least(upper_bounds, steps, scratch.list)
    shift = order_by_upper_bound(upper_bounds, scratch.list[:n], steps, top, scratch.queue)
    queue = scratch.queue[:n]
    visits[0] += n
    relaxed = Scale(np.uint64(np.ceil(np.float64(scale.fine) / limits.alpha)), scale.unit)
    order = Visits(queue, top, shift)
    visits[1] += visit(postings, query, order, admission, heap, scratch, relaxed, limits.budget)
    steps = threshold_in_steps(admission, heap, scale)
    for superblock in queue:
        visits[2] += upper_bounds[np.int64(superblock)] >= steps
