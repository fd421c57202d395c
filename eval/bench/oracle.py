"""Ground truth for every engine: all scores of all documents, then the best k."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.collection import SparseCollection, rows
from lsr.io.atomic import atomic_file
from lsr.types import SparseBatch

CHUNK = 1 << 17


@dataclass(frozen=True, slots=True)
class Truth:
    """The exact best documents of each query, best first, ties in the order in which they were added.

    indptr: int64, (n_queries + 1). positions, scores: int64; only documents that score above 0.
    """

    indptr: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]

    def best(self, query: int, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return positions and scores of at most the k best."""
        first = self.indptr[query]
        last = min(first + k, self.indptr[query + 1])
        return self.positions[first:last], self.scores[first:last]


def find_truth(collection: SparseCollection, k: int) -> Truth:
    """Score every document for every query, a chunk of documents at a time."""
    queries = collection.queries
    best: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)] * len(queries)
    for first in range(0, len(collection.documents), CHUNK):
        chunk = rows(collection.documents, first, first + CHUNK)
        for number, scores in enumerate(_chunk_scores(chunk, queries)):
            found = np.flatnonzero(scores)
            keys = scores[found] << 32 | (0xFFFFFFFF - first - found)
            if len(keys) > k:
                keys = np.partition(keys, len(keys) - k)[-k:]
            best[number] = np.sort(np.concatenate([best[number], keys]))[::-1][:k]
    flat = np.concatenate([*best, np.empty(0, np.int64)])
    indptr = np.concatenate([[0], np.cumsum([len(keys) for keys in best])]).astype(np.int64)
    return Truth(indptr, 0xFFFFFFFF - (flat & 0xFFFFFFFF), flat >> 32)


def _chunk_scores(chunk: SparseBatch, queries: SparseBatch) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the scores of all documents of a chunk for each query. Whole weights up to 255 can't overflow."""
    # Sixteen bits are sorted by radix, in a tenth of the time.
    narrow = chunk.term_ids.astype(np.uint16) if chunk.vocab_size <= 1 << 16 else chunk.term_ids
    order = np.argsort(narrow, kind="stable")
    doc_ords = np.repeat(np.arange(len(chunk), dtype=np.int32), np.diff(chunk.indptr))[order]
    weights = chunk.weights[order].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(np.bincount(chunk.term_ids, minlength=chunk.vocab_size))])
    for term_ids, query_weights in queries:
        scores = np.zeros(len(chunk), np.int64)
        for term_id, weight in zip(term_ids, query_weights.astype(np.int64), strict=True):
            span = slice(starts[term_id], starts[term_id + 1])
            scores[doc_ords[span]] += weight * weights[span]
        yield scores


def exact_scores(
    documents: SparseBatch,
    positions: npt.NDArray[np.int64],
    term_ids: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
) -> npt.NDArray[np.int64]:
    """Return the dot products of some documents with a query."""
    dense = np.zeros(documents.vocab_size, np.int64)
    dense[term_ids] = weights
    scores = [int(dense[ids] @ values.astype(np.int64)) for ids, values in map(documents.row, positions.tolist())]
    return np.array(scores, np.int64)


def recall(collection: SparseCollection, truth: Truth, found: Sequence[npt.NDArray[np.int64]], k: int) -> float:
    """Return the mean recall of the k best over the queries.

    found: for each query the positions of the documents an engine returned. A document counts as right if
    its exact score is at least that of the k-th best, so that nobody loses by another order of ties; one
    returned twice counts once. A query that no document matches counts as 1.
    """
    values = []
    for number, positions in enumerate(found):
        wanted, scores = truth.best(number, k)
        if len(wanted) == 0:
            values.append(1.0)
            continue
        unique = np.unique(positions)
        others = unique[~np.isin(unique, wanted)]
        right = len(unique) - len(others)
        if len(others):
            right += int(
                (exact_scores(collection.documents, others, *collection.queries.row(number)) >= scores[-1]).sum()
            )
        values.append(min(right, len(wanted)) / len(wanted))
    return float(np.mean(values)) if values else 1.0


def save_truth(path: Path, truth: Truth) -> None:
    """Write the file that `load_truth` reads."""
    with atomic_file(path) as file:
        np.savez(file, indptr=truth.indptr, positions=truth.positions, scores=truth.scores)


def load_truth(path: Path) -> Truth:
    """Read the file that `save_truth` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Truth(arrays["indptr"], arrays["positions"], arrays["scores"])
