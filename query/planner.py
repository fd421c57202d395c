"""Which traversal serves a query in a segment at the least cost. All of them are exact.

Costs are counted in postings scored exhaustively. `blockmax` decides again for itself when it knows
the bounds: it visits single superblocks, or whole pages in order if too many superblocks promise to be
scored. docs/ENGINE.md has the measurements behind the constants.
"""

from __future__ import annotations

import sys

TRAVERSALS = ("plain", "exhaustive", "blockmax", "superblock")

PLAIN_POSTINGS = 3_000_000
"""Up to here numpy is done before the compiled kernels would be loaded (about 0.3 s)."""
PAGE_COST = 14
"""Going from one page of 256 documents to the next, exhaustively, costs each term as much as so many postings."""
VISIT_COST, RUN_COST = 400, 34
"""Scoring a superblock out of order costs as much as so many postings, and so many more for each term."""
PAGES_SCORED = 0.85
"""What scoring pages in order costs, over scoring all of them."""
BOUND_COST = 1 / 16
"""Bounding one block by one term costs as much as so many postings."""
COMPILED = "lsr.kernels.blockmax"
MOST_RARE = 64
"""More rare terms than this in a query, and the notes of where their runs start outgrow the caches."""
BLOCK, PAGE = 4, 256


def choose_traversal(n_docs: int, n_terms: int, n_rare: int, n_postings: int, *, once: bool) -> str:
    """Return the name of the traversal.

    n_docs: of the segment. n_terms, n_rare: terms of the query that the segment has, and how many of them
    are rare there; n_postings: of all of them. once: whether this is the only query of the process, so
    that loading the compiled kernels would cost more than they save.
    """
    if once and n_postings <= PLAIN_POSTINGS and COMPILED not in sys.modules:
        return "plain"
    bounds = (n_terms - n_rare + 4) * BOUND_COST * n_docs / BLOCK
    if n_rare > MOST_RARE or exhaustive_cost(n_docs, n_terms, n_postings) < bounds:
        return "exhaustive"
    return "blockmax"


def exhaustive_cost(n_docs: int, n_terms: int, n_postings: int) -> float:
    """Return what scoring all of a query's postings costs."""
    return n_postings + n_docs / PAGE * n_terms * PAGE_COST


def most_superblocks(n_docs: int, n_terms: int, n_postings: int) -> int:
    """Return how many superblocks `blockmax` had better visit one by one, rather than pages in order."""
    return int(PAGES_SCORED * exhaustive_cost(n_docs, n_terms, n_postings) / (VISIT_COST + RUN_COST * n_terms))
