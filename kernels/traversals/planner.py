"""The choice of the traversal that serves a query in a segment at the least cost. All of them are exact.

Costs are nanoseconds on the machine of docs/ENGINE.md, which has the measurements behind the constants; only their
proportions matter. `blockmax` decides again when it knows the bounds: it visits single superblocks, or whole pages in
order if too many superblocks promise to be scored.
"""

from __future__ import annotations

from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.names import BLOCKMAX, EXHAUSTIVE, FIRST, FIRST_POWER, SUPERBLOCK_MAX

RUN_COST, RARE_COST, OFFER_COST, ENTER_COST = 14.0, 1.5, 5.0, 100.0
"""Costs of exhaustive scoring.

They are those of a frequent term in a superblock, of a posting of a rare term, of looking for the best of a
superblock; and for each of the k best, of others that were among them before: in the order of memory many are.
"""
BOUND_COST, RARE_BOUND_COST, VISIT_COST = 1.6, 1.7, 13.0
"""Pruning: a term's bounds in a superblock; a rare posting; scoring a frequent term in a superblock."""
FIRST_COST, FURTHER_COST = 12_000.0, 2_000.0
"""The fixed cost of pruning, without an initial threshold, and with that of another segment."""
EXPECTED_VISITED = 0.25
"""Largest share of superblocks that are visited for k results, in all segments together.

About FIRST · k ** FIRST_POWER are; a rare term costs half as much in them.
"""
MOST_VISITED = 0.4
"""The share of superblocks beyond which scoring pages in order costs less than visiting superblocks."""
TWO_LEVELS, TWO_LEVELS_POWER, LEAST_TWO_LEVELS = 1500.0, 0.3, 1000
"""Superblocks from which bounding them before blocks costs less: TWO_LEVELS · k ** TWO_LEVELS_POWER.

They are counted in all segments so far together: 192,000 documents for 10 results, 382,000 for 100; but not in a small
segment.
"""
MOST_RARE = 64
"""The most rare terms in a query for which the places where their runs start fit the caches."""


@kernel
def cheapest(n_superblocks, n_before, n_terms, n_rare, n_rare_postings, k):
    """Return EXHAUSTIVE, BLOCKMAX or SUPERBLOCK_MAX.

    n_superblocks: of the segment; n_before: of those searched before it. n_terms, n_rare: terms of the query that the
    segment has, and how many of them are rare there; n_rare_postings: of these. k: results wanted.
    """
    n_frequent = n_terms - n_rare
    exhaustive = n_superblocks * (n_frequent * RUN_COST + OFFER_COST) + n_rare_postings * RARE_COST
    if n_before == 0:
        exhaustive += min(k, n_superblocks) * ENTER_COST
    share = n_superblocks / max(n_before + n_superblocks, 1)
    visits = min(EXPECTED_VISITED * n_superblocks, FIRST * k**FIRST_POWER * share) * (n_frequent + n_rare / 2)
    pruned = FURTHER_COST if n_before else FIRST_COST
    pruned += n_superblocks * n_frequent * BOUND_COST + n_rare_postings * RARE_BOUND_COST
    pruned += visits * VISIT_COST
    if n_rare > MOST_RARE or exhaustive < pruned:
        return EXHAUSTIVE
    is_large = n_superblocks > LEAST_TWO_LEVELS and n_before + n_superblocks > TWO_LEVELS * k**TWO_LEVELS_POWER
    return SUPERBLOCK_MAX if is_large else BLOCKMAX


@kernel
def most_superblocks(n_superblocks):
    """Return the most superblocks that `blockmax` visits one by one, rather than pages in order."""
    return int(MOST_VISITED * n_superblocks)
