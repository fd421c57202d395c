"""Two levels of bounds that stop early: may miss documents, for less time. Opt-in, and what it skips is counted.

Superblocks are bounded first, all of them; then the blocks of those pages whose superblocks promise most, which are
scored. Three limits, which may be combined, spare the rest. *budget* ends the search after so many superblocks, and
only the pages that hold about as many of the largest bounds are bounded by blocks at all. *alpha* multiplies the
bounds before they are compared with the threshold: bounds are sums of maxima, and hardly any document has all of them
(Broder et al., CIKM 2003; Mallia et al., SIGIR 2024). *cut* bounds by the heaviest terms only, and scores by all: the
pruned first pass and full second one of two-step search (Lassance et al., SIGIR 2024), a superblock at a time.
Source of the budget: "top-γ" of Carlson et al., "Dynamic Superblock Pruning for Fast Learned Sparse Retrieval", SIGIR
2025, and its successor LSP.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lsr.kernels.geometry import SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.account import start_account
from lsr.kernels.traversals.blockmax import threshold_in_steps
from lsr.kernels.traversals.names import FIRST, FIRST_POWER
from lsr.kernels.traversals.query_terms import heaviest_first, split_terms
from lsr.kernels.traversals.superblock import bound_coarsely, forget_rare, upper_bound_of_rank, visit_pages
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
def search_approximately(postings, terms, weights, admission, heap, scratch, visits, limits, account=None):
    """Leave documents in `heap` that may not be the best, having scored fewer superblocks. Their scores are exact.

    limits: see `Limits`. visits: int64, (3): the superblocks that were bounded by blocks, those scored, and those
    skipped although their bound, as far as it was computed, reaches the last threshold, are added. For the others see
    `search_superblock`.
    """
    start_account(account)
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    query = split_terms(postings, terms, weights)
    if limits.cut < query.rows.size:
        heaviest_first(query.rows, query.row_weights)
    top, bounding, scale = bound_coarsely(postings, query, min(query.rows.size, limits.cut), scratch, account)
    if admission.allowed.size:
        top = forbid(upper_bounds, admission.allowed)
    relaxed = Scale(np.uint64(np.ceil(np.float64(scale.fine) / limits.alpha)), scale.unit)
    least = threshold_in_steps(admission, heap, relaxed)
    if top >= least:
        is_limited, budget = limits.budget < n_superblocks, limits.budget
        if is_limited or not heap[0]:
            n_first = budget if is_limited else int(FIRST * heap.size**FIRST_POWER)
            least = upper_bound_of_rank(upper_bounds, n_first, least, top)
            visit_pages(
                postings,
                query,
                bounding,
                least,
                admission,
                heap,
                scratch,
                relaxed,
                budget,
                visits,
                True,
                account,
            )
        if not is_limited:
            least = threshold_in_steps(admission, heap, relaxed)
            visit_pages(
                postings,
                query,
                bounding,
                least,
                admission,
                heap,
                scratch,
                relaxed,
                budget,
                visits,
                False,
                account,
            )
    forget_rare(query, n_superblocks, scratch, account)
    least = threshold_in_steps(admission, heap, scale)
    for upper_bound in upper_bounds:
        visits[2] += upper_bound >= least
