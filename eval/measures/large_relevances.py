"""nDCG of queries whose relevances are larger than trec_eval takes, which has a table as long as the largest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

LARGEST = 100_000
"""The largest relevance that is given to ir_measures."""


def has_large(relevances: Mapping[str, int]) -> bool:
    """Tell whether a query has a relevance that trec_eval doesn't take."""
    return max(relevances.values(), default=0) > LARGEST


def ndcg(order: Sequence[str], relevances: Mapping[str, int], cutoff: int) -> float:
    """Return nDCG with linear gains and log2 discounts. order: doc_ids, best first; relevances: none below 0."""
    largest = max(relevances.values())

    def gain(values: Sequence[int]) -> float:
        # Shares of the largest, since a whole number may be too large for a float.
        return math.fsum(value / largest / math.log2(rank + 1) for rank, value in enumerate(values[:cutoff], 1))

    ideal = gain(sorted(relevances.values(), reverse=True))
    return gain([relevances.get(doc_id, 0) for doc_id in order[:cutoff]]) / ideal
