"""Which traversal serves a query in a segment at the least cost. All of them are exact."""

from __future__ import annotations

import sys

PLAIN_POSTINGS = 3_000_000
EXHAUSTIVE_POSTINGS = 20_000

TRAVERSALS = ("plain", "exhaustive", "blockmax")


def choose_traversal(n_docs: int, n_postings: int, k: int, *, once: bool) -> str:
    """Return the name of the traversal.

    n_docs: of the segment. n_postings: of the query's terms in it. once: whether this is the only query
    of the process, so that loading the compiled kernels would cost more than they save.
    """
    if once and n_postings <= PLAIN_POSTINGS and "lsr.kernels.blockmax" not in sys.modules:
        return "plain"
    if n_postings <= EXHAUSTIVE_POSTINGS or k * 64 >= n_docs:
        return "exhaustive"
    return "blockmax"
