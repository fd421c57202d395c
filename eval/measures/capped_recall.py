"""Recall capped by the cutoff: relevant documents among the first k, divided by min(k, relevant documents).

Thakur et al., "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation" (NeurIPS 2021). Where a query has more
relevant documents than k, plain recall can't reach 1.
"""

from __future__ import annotations


def capped_recall(precision: float, cutoff: int, n_relevant: int) -> float:
    """Return capped recall at a cutoff. precision: that of the first `cutoff` results, from 0 to 1."""
    return round(precision * cutoff) / min(cutoff, n_relevant) if n_relevant else 0.0
