"""Exact dense search of a collection that grows: the best documents of each query so far, by matrix products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class GrowingTopK:
    """The k best documents of each query while a collection grows, document by document in order.

    Ties go to the document that came first.
    """

    def __init__(self, queries: Vectors, k: int) -> None:
        self._queries = queries
        self._k = k
        self._n_docs = 0
        self._scores = np.empty((len(queries), 0), np.float32)
        self._ords = np.empty((len(queries), 0), np.int64)

    def add(self, documents: Vectors) -> None:
        """Add more documents: float32 (n, width)."""
        fresh = self._queries @ documents.T
        ords = np.arange(self._n_docs, self._n_docs + len(documents))
        scores = np.concatenate([self._scores, fresh], axis=1)
        all_ords = np.concatenate([self._ords, np.broadcast_to(ords, fresh.shape)], axis=1)
        # Columns are ranked, then in the order of arrival: a stable sort keeps the first of equals.
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self._k]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._ords = np.take_along_axis(all_ords, best, axis=1)
        self._n_docs += len(documents)

    def rows(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Yield doc_ords and scores of each query, best first."""
        return zip(self._ords, self._scores, strict=True)
