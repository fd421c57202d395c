"""A query's terms in a segment: local ids, how many postings they have, and a score that k documents reach."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lsr.kernels.jit.compile import kernel


class Found(NamedTuple):
    """The counts of a query's terms in a segment.

    n_terms: terms that the segment has; n_rare: rare ones of these. n_postings: of all; n_rare_postings: of the rare
    ones. reached: uint64, at least 1, a score that k documents of the segment reach.
    """

    n_terms: int
    n_rare: int
    n_postings: int
    n_rare_postings: int
    reached: np.uint64


@kernel
def locate(postings, segment_terms, kth_impact, column, term_ids, weights, terms, term_weights):
    """Write the query's terms that the segment has to `terms` (int64), their weights to `term_weights` (uint32).

    segment_terms: uint32, ascending. term_ids: int32, ascending; weights: uint32. kth_impact: uint8, (n_terms, …),
    of which `column` holds the k-th largest impacts for this query's k, or −1 for no column. Returns `Found`, with the
    largest weight · k-th impact as the score that k documents reach.
    """
    n, n_rare, n_postings, n_rare_postings = 0, 0, 0, 0
    reached = np.uint64(1)
    if segment_terms.size == 0:
        return Found(n, n_rare, n_postings, n_rare_postings, reached)
    for i in range(term_ids.size):
        wanted = np.uint32(term_ids[i])
        low, left = 0, segment_terms.size
        while left > 1:  # No branch to mispredict, and no waiting for the term before.
            half = left >> 1
            low += half * (segment_terms[low + half] <= wanted)
            left -= half
        if segment_terms[low] != wanted or weights[i] == 0:
            continue
        row = postings.row[low]
        if row >= 0:
            n_postings += postings.frequent_start[row + 1] - postings.frequent_start[row]
        else:
            n_rare_postings += postings.rare_start[-row] - postings.rare_start[-1 - row]
            n_rare += 1
        if column >= 0:
            reached = max(reached, np.uint64(weights[i]) * np.uint64(kth_impact[low, column]))
        terms[n], term_weights[n] = low, weights[i]
        n += 1
    return Found(n, n_rare, n_postings + n_rare_postings, n_rare_postings, reached)
