"""Costs of a system: sizes counted, times measured, nothing estimated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lsr.eval.reports.results import Latency
from lsr.types import SparseBatch


def latency(seconds: Sequence[float] | npt.NDArray[np.float64]) -> Latency | None:
    """Return the distribution of single queries' times, given in seconds; None where there are none."""
    if not len(seconds):
        return None
    microseconds = np.asarray(seconds, np.float64) * 1e6
    p50, p99 = np.percentile(microseconds, [50, 99])
    return Latency(p50_us=float(p50), p99_us=float(p99), mean_us=float(microseconds.mean()), n=len(microseconds))


def term_counts(batch: SparseBatch, vocab_size: int) -> npt.NDArray[np.int64]:
    """Return the number of rows of a batch that hold each term: int64, (vocab_size)."""
    return np.bincount(batch.term_ids, minlength=vocab_size).astype(np.int64)


def flops(
    document_df: npt.NDArray[np.int64], n_docs: int, query_df: npt.NDArray[np.int64], n_queries: int
) -> float | None:
    """Return the expected number of multiplications to score a document against a query.

    Σ_j p_j(query) · p_j(document), where p_j is the share of vectors in which term j is active (Formal et al.,
    SPLADE, SIGIR 2021). document_df, query_df: (vocab_size) each. None without documents or queries.
    """
    if not n_docs or not n_queries:
        return None
    shared = min(len(document_df), len(query_df))
    products = document_df[:shared].astype(np.float64) @ query_df[:shared].astype(np.float64)
    return float(products / n_docs / n_queries)
