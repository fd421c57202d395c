"""Which traversal serves a query in a segment at the least cost. All of them are exact.

Costs are counted in postings scored exhaustively. `blockmax` decides again for itself when it knows
bounds and a fair threshold: if too many superblocks are left it hands over to `exhaustive`, which then
begins with that threshold. docs/ENGINE.md has the measurements behind the constants.
"""

from __future__ import annotations

import sys

TRAVERSALS = ("plain", "exhaustive", "blockmax", "superblock")

PLAIN_POSTINGS = 3_000_000
"""Up to here numpy is done before the compiled kernels would be loaded (about 0.3 s)."""
RUN_COST = 32
"""Scoring one term's run in a superblock, out of order, costs as much as so many postings in order."""
BOUND_COST = 1 / 16
"""Bounding one block by one term costs as much as so many postings."""
MOST_RARE = 64
"""More rare terms than this in a query, and the notes of where their runs start outgrow the caches."""
BLOCK = 4


def choose_traversal(n_docs: int, n_terms: int, n_rare: int, n_postings: int, *, once: bool) -> str:
    """Return the name of the traversal.

    n_docs: of the segment. n_terms, n_rare: terms of the query that the segment has, and how many of them
    are rare there; n_postings: of all of them. once: whether this is the only query of the process, so
    that loading the compiled kernels would cost more than they save.
    """
    if once and n_postings <= PLAIN_POSTINGS and "lsr.kernels.blockmax" not in sys.modules:
        return "plain"
    bounds = (n_terms - n_rare + 2) * BOUND_COST * n_docs / BLOCK + n_postings_rare(n_rare, n_docs)
    if n_rare > MOST_RARE or n_postings < bounds:
        return "exhaustive"
    return "blockmax"


def n_postings_rare(n_rare: int, n_docs: int) -> float:
    """Return about how many postings so many rare terms have."""
    return n_rare * n_docs / 160


def most_superblocks(n_terms: int, n_postings: int) -> int:
    """Return how many superblocks may be left to score for `blockmax` to be the cheaper one still."""
    return n_postings // (RUN_COST * max(n_terms, 1))
