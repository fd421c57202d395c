"""Scores by the dense vectors of an index: rows gathered from the mapped matrices, one product each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import EncoderError, IndexDamagedError, UsageError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.dense_vectors import DenseVectorsOfIndex
from lsr.query.fusion.ranked_list import Leg
from lsr.query.queries import DenseRow, Query

if TYPE_CHECKING:
    from lsr.indexer.storage.index import StoredIndex
    from lsr.query.sparse_search import SparseSearch

Scores = npt.NDArray[np.float64]


def dense_of(index: StoredIndex) -> DenseVectorsOfIndex:
    """Return the dense vectors of an index. Raises UsageError, naming the command that adds them, without."""
    dense = index.dense
    if dense is None:
        raise UsageError(
            f"the index at {index.path} has no dense vectors, which a hybrid search needs: add them by "
            f"'lsr index --index {index.path} --dense E', E being a dense model such as all-MiniLM-L6-v2"
        )
    return dense


def least_score(description: Mapping[str, Any]) -> float | None:
    """Return −1 where an encoder's vectors are of unit length, so that scores are cosines; else None."""
    settings = description.get("settings", {})
    of_dense = settings.get("dense") or settings  # a joint encoder says it of its second head
    return -1.0 if of_dense.get("normalise") else None


def checked_query(query: DenseRow | None, dense: DenseVectorsOfIndex) -> DenseRow:
    """Return a query's vector as the index takes it. Raises UsageError, or EncoderError for what isn't a number."""
    if query is None:
        raise UsageError("a hybrid search needs the text or the dense vector of a query, but it came as terms only")
    if query.shape != (dense.dimension,):
        raise UsageError(
            f"the query's dense vector is of shape {query.shape}, but the index's have dimension {dense.dimension}: "
            f"encode queries with {dense.description.get('name')}"
        )
    if not np.isfinite(query).all():
        raise EncoderError("the query's dense vector holds NaN or infinity; the model that made it is broken")
    return np.ascontiguousarray(query, np.float32)


class DenseReranker:
    """Scores candidates by the dot products of their dense vectors with the query's."""

    name = "dense"

    def minimum(self, search: SparseSearch) -> float | None:
        """Return −1 for vectors of unit length, else None."""
        return least_score(dense_of(search.index).description)

    def scores(self, search: SparseSearch, query: Query, positions: npt.NDArray[np.int64]) -> Scores:
        """Return the dot product of each. Raises IndexDamagedError for a vector that isn't made of numbers."""
        vector = checked_query(query.dense, dense_of(search.index))
        return (rows_at(search, positions) @ vector).astype(np.float64)


def rows_at(search: SparseSearch, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the dense vectors of documents, float32, (n_positions, dimension).

    Raises UsageError without any, IndexDamagedError for a vector that isn't made of numbers.
    """
    rows = search.dense_halves(positions, dense_of(search.index).dimension).astype(np.float32)
    # A sum is a number only where all its parts are: one pass, without a matrix of truth values.
    if not math.isfinite(rows.sum()):
        _refuse_damaged(search, positions, rows)
    return rows


def _refuse_damaged(search: SparseSearch, positions: npt.NDArray[np.int64], rows: npt.NDArray[np.float32]) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        doc_id = search.document(int(positions[np.argmin(finite)])).doc_id
        raise IndexDamagedError(
            f"{search.index.path}: the dense vector of document {doc_id!r} holds what is not a number; {REMEDY}"
        )


def ranked_leg(positions: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], minimum: float | None) -> Leg:
    """Return documents as a leg: the highest score first, equal ones in the order of addition."""
    order = np.lexsort((positions, -scores))
    ranked = scores[order]
    # Rounding to 16 bits may bring a score just below the least that exact arithmetic can give.
    if minimum is not None and len(ranked):
        minimum = min(minimum, float(ranked[-1]))
    return Leg(positions[order], ranked, minimum)
