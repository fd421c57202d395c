"""Hybrid search of an index as a teacher: terms, words and dense vectors of its documents, smoothed over neighbours.

What an index stores of its documents is read from it, so that a training encodes its queries alone. A hybrid search is
better than any of its legs, so a leg that learns from it learns from a better model than itself: self-distillation as
in Formal et al., "From Distillation to Hard Negative Sampling" (SIGIR 2022, arXiv:2205.04733), with legs of different
kinds normalised and summed as in Geng et al. (2024, arXiv:2411.04403). Scores of near documents count for a document,
too (Diaz, "Regularizing Ad Hoc Retrieval Scores", CIKM 2005): what the student gets from that are the terms of what is
near.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import weigh_beside_dense
from lsr.errors import LsrError, UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import Segment
from lsr.indexer.update.reweigh import stored_rows
from lsr.indexer.update.smooth import nearest_rows
from lsr.query.searcher import Searcher
from lsr.training.data.example import Example
from lsr.training.mining.candidate_pool import body_hash
from lsr.training.teachers.base import Advance, Scores, TeacherRequest, Wanted, ignore, register_teacher
from lsr.training.teachers.sparse_product import sparse_product
from lsr.types import Document, SparseBatch

Vectors = npt.NDArray[np.float32]
SHARE, NEAREST = 0.3, 8


class StoredVectors:
    """Vectors of all documents of an index, in memory, a row each. sparse: CSR of impacts. dense: float16 or None.

    rows: of a document, by the hash of its text, its title aside.
    """

    def __init__(self, index: StoredIndex) -> None:
        parts = [_rows_of(segment) for segment in index.segments]
        starts = np.cumsum([0, *(len(term_ids) for _, term_ids, _ in parts)])
        indptr = [part[0][:-1] + start for part, start in zip(parts, starts, strict=False)]
        self.indptr = np.concatenate([*indptr, starts[-1:]])
        self.term_ids = np.concatenate([term_ids for _, term_ids, _ in parts])
        self.impacts = np.concatenate([impacts for _, _, impacts in parts])
        self.live = np.concatenate([segment.live_rows for segment in index.segments])
        self.dense: npt.NDArray[np.float16] | None = None
        if index.manifest.dense is not None:
            self.dense = np.concatenate([np.asarray(segment.dense, np.float16) for segment in index.segments])
        self.rows: dict[int, int] = {}
        first = 0
        for segment in index.segments:
            for row in np.flatnonzero(segment.live_rows).tolist():
                self.rows[body_hash(segment.document(row))] = first + row
            first += segment.n_docs

    def sparse(self, rows: npt.NDArray[np.int64], vocab_size: int) -> SparseBatch:
        """Return the impacts of some rows."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        at = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1][rows] - indptr[:-1], lengths)
        return SparseBatch(indptr, self.term_ids[at].astype(np.int32), self.impacts[at].astype(np.float32), vocab_size)


class IndexTeacher:
    """Teacher that scores documents of an index as its hybrid search does.

    weights: of the sparse and the dense leg, each min-max normalised over a query's wanted documents. share: of the
    `nearest` documents of all the index in a score; 0: none. words: weight of exact words (default: that of a hybrid
    search). An index without dense vectors has one leg, and no neighbours.
    """

    def __init__(
        self,
        name: str,
        searcher: Searcher,
        *,
        weights: Sequence[float] = (0.5, 0.5),
        share: float = SHARE,
        nearest: int = NEAREST,
        words: float | None = None,
    ) -> None:
        self.name = name
        self._searcher = searcher
        self._weights, self._share, self._words = tuple(weights), share, words
        self._stored = StoredVectors(searcher.index)
        self._vocab_size, self._scale = len(searcher.index.vocabulary), searcher.index.manifest.scale
        self._near: npt.NDArray[np.int64] | None = None
        if self._stored.dense is not None and share:
            near = list(nearest_rows(self._stored.dense.astype(np.float32), self._stored.live, nearest))
            self._near = np.concatenate([rows for _, rows, _ in near])
            self._near_weights = np.concatenate([weights for *_, weights in near])
        self._of_queries: dict[str, Vectors] = {}

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return fused scores. Raises LsrError for a document that the index lacks."""
        rows = self._rows(documents)
        mask = np.ones((len(queries), len(rows)), bool) if wanted is None else wanted
        sources, weights = rows[:, None], np.ones((len(rows), 1), np.float32)
        if self._near is not None:
            sources = np.column_stack([rows, self._near[rows]])
            weights = np.column_stack([np.ones(len(rows), np.float32), self._near_weights[rows] * self._ratio])
        distinct, places = np.unique(sources, return_inverse=True)
        terms = self._searcher.encode(queries)
        of_dense = []
        if self._stored.dense is not None:
            terms = weigh_beside_dense(terms, self._searcher.index.manifest.encoder, self._words)
            of_dense = [self.query_vectors(queries) @ self._stored.dense[distinct].astype(np.float32).T]
        legs = [sparse_product(terms, self._stored.sparse(distinct, self._vocab_size)), *of_dense]
        places = places.reshape(sources.shape)
        smoothed = [np.einsum("qds,ds->qd", leg[:, places], weights) for leg in legs]
        if len(smoothed) == 1:
            return np.asarray(smoothed[0] * self._scale, np.float32)
        total = sum(weight * _min_max(leg, mask) for weight, leg in zip(self._weights, smoothed, strict=True))
        return np.asarray(total, np.float32)

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Return 0: documents' vectors are in the index, and queries take no time."""
        return 0

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """Return the dense vectors of queries, kept for the next time."""
        known = self._of_queries
        missing = list(dict.fromkeys(query for query in queries if query not in known))
        if missing:
            known.update(zip(missing, self._searcher.encoders.dense.encode_dense_queries(missing), strict=True))
        return np.stack([known[query] for query in queries])

    @property
    def _ratio(self) -> np.float32:
        return np.float32(self._share / (1 - self._share))

    def _rows(self, documents: Sequence[Document]) -> npt.NDArray[np.int64]:
        rows = [self._stored.rows.get(body_hash(document), -1) for document in documents]
        if -1 in rows:
            lacking = documents[rows.index(-1)]
            raise LsrError(
                f"teacher {self.name}: its index lacks document {lacking.doc_id!r}, {lacking.full_text[:80]!r}: index "
                "the documents of all examples, whole (lsr index --no-passages)"
            )
        return np.array(rows, np.int64)


def _rows_of(segment: Segment) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Return a segment's rows in the order of its documents: indptr, term ids of the index, impacts."""
    indptr, local, impacts = stored_rows(segment)
    doc_ords = np.argsort(segment.arrays["insertion"])
    lengths = np.diff(indptr)[doc_ords]
    ends = np.cumsum(lengths)
    at = np.arange(len(local)) + np.repeat(indptr[:-1][doc_ords] - (ends - lengths), lengths)
    return np.concatenate(([0], ends)), segment.terms[local[at]].astype(np.uint32), impacts[at]


def _min_max(scores: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Scale each row to 0 … 1 over the cells of the mask."""
    lowest = np.where(mask, scores, np.inf).min(axis=1, keepdims=True)
    spread = np.where(mask, scores, -np.inf).max(axis=1, keepdims=True) - lowest
    lowest, spread = np.where(np.isfinite(lowest), lowest, 0.0), np.where(spread > 0, spread, 1.0)
    return np.asarray((scores - lowest) / spread, np.float64)


@register_teacher("index", takes_model=True)
def open_index(
    request: TeacherRequest,
    *,
    weights: Sequence[float] = (0.5, 0.5),
    share: float = SHARE,
    nearest: int = NEAREST,
    words: float | None = None,
    encoder: str | None = None,
    dense: str | None = None,
) -> IndexTeacher:
    """Open the hybrid search of an index as a teacher (arXiv:2205.04733).

    encoder, dense: where the index's models are now, if they were moved. Raises UsageError for settings out of their
    range, IndexMissingError without an index, EncoderError where a model can't be opened.
    """
    if len(weights) != 2 or min(weights) < 0 or not sum(weights):
        raise UsageError(f"teacher {request.name}: weights is {list(weights)}, but has to be two, 0 or more, not all 0")
    if not 0 <= share < 1:
        raise UsageError(f"teacher {request.name}: share is {share}, but has to be 0 or more and below 1")
    if nearest < 1:
        raise UsageError(f"teacher {request.name}: nearest is {nearest}, but has to be 1 or more")
    searcher = Searcher(StoredIndex.open(Path(request.model)), encoder=encoder, dense_encoder=dense)
    return IndexTeacher(request.name, searcher, weights=weights, share=share, nearest=nearest, words=words)
