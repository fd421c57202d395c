"""Dot products of sparse vectors, few queries with many documents."""

from __future__ import annotations

import numpy as np

from lsr.training.teachers.base import Scores
from lsr.types import SparseBatch

_CELLS = 1 << 24


def sparse_product(queries: SparseBatch, documents: SparseBatch) -> Scores:
    """Return the dot product of every query with every document, float32, (n_queries, n_documents).

    Only the queries' terms count: the documents' weights of these become a dense matrix, a chunk of documents at a
    time.
    """
    terms = np.unique(queries.term_ids)
    scores = np.zeros((len(queries), len(documents)), np.float32)
    if len(terms) == 0:
        return scores
    of_queries = _dense(queries, terms, 0, len(queries))
    step = max(1, _CELLS // len(terms))
    for first in range(0, len(documents), step):
        last = min(first + step, len(documents))
        scores[:, first:last] = of_queries @ _dense(documents, terms, first, last).T
    return scores


def _dense(rows: SparseBatch, terms: np.typing.NDArray[np.int32], first: int, last: int) -> Scores:
    """Return the weights of some terms in rows first…last - 1, (last - first, n_terms)."""
    span = slice(int(rows.indptr[first]), int(rows.indptr[last]))
    term_ids = rows.term_ids[span]
    at = np.minimum(np.searchsorted(terms, term_ids), len(terms) - 1)
    known = terms[at] == term_ids
    row = np.repeat(np.arange(last - first), np.diff(rows.indptr[first : last + 1]))
    matrix = np.zeros((last - first, len(terms)), np.float32)
    matrix[row[known], at[known]] = rows.weights[span][known]
    return matrix
