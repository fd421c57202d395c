"""The dense leg of a union: the best documents of all by their dense vectors, whatever the sparse leg found."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.fusion.ranked_list import Leg
from lsr.query.hybrid.ann import FLAT, AnnParameters, choose_parameters
from lsr.query.hybrid.ann import search as search_ann
from lsr.query.hybrid.dense_scores import DenseReranker, checked_query, dense_of, ranked_leg, rows_at
from lsr.query.queries import DenseRow, Query

if TYPE_CHECKING:
    from lsr.query.filters.filter import DocumentFilter
    from lsr.query.sparse_search import SparseSearch

FEW_ALLOWED = 20_000
"""Documents that a filter leaves, up to which all are scored. A graph is slow, and misses, among few."""
PASSAGES_EACH, DEEPER = 3, 4
MANY_QUERIES = 64
"""Queries that share one reading of all dense vectors: reading those costs more than a query's products."""
_ROWS = 1 << 10
"""Rows that are converted at a time: as many as the second-level cache holds."""

_kept: weakref.WeakKeyDictionary[StoredIndex, Any] = weakref.WeakKeyDictionary()
_making = ForkSafeLock()


def dense_leg(
    search: SparseSearch,
    query: Query,
    k: int,
    *,
    allowed: DocumentFilter | None = None,
    found: npt.NDArray[np.int64] | None = None,
) -> tuple[Leg, str]:
    """Return the k best documents by dense vectors, exactly scored, and how they were looked for.

    Where documents were cut into passages, it holds the best passage of each. found: what `nearest_ahead` found for the
    query (default: it is looked for now). Raises IndexDamagedError for vectors
    that aren't made of numbers.
    """
    if k < 1:
        raise UsageError(f"k is {k}; it must be at least 1")
    vector = checked_query(query.dense, dense_of(search.index))
    parameters = _parameters(search, allowed)
    minimum = DenseReranker().minimum(search)
    depth = _depth(search, k)
    while True:
        positions = nearest(search, vector, depth, allowed, parameters) if found is None else found
        found = None
        leg = ranked_leg(positions, products(rows_at(search, positions), vector), minimum)
        if search.owners is None:
            break
        _, first = np.unique(search.owners(leg.docs), return_index=True)
        if len(first) >= k or len(positions) < depth:
            chosen = np.sort(first)
            leg = Leg(leg.docs[chosen], leg.scores[chosen], leg.minimum)
            break
        depth *= DEEPER
    how = f"dense {parameters.kind}" + ("" if parameters.kind == FLAT else " (approximate)")
    return Leg(leg.docs[:k], leg.scores[:k], leg.minimum), how


def _parameters(search: SparseSearch, allowed: DocumentFilter | None) -> AnnParameters:
    """Return how documents are looked for: among few, all are scored."""
    dense, n_found = dense_of(search.index), n_allowed(search, allowed)
    if n_found is not None and n_found <= FEW_ALLOWED:
        return AnnParameters(FLAT)
    return choose_parameters(sum(map(len, dense.matrices)), dense.dimension)


def _depth(search: SparseSearch, k: int) -> int:
    return k if search.owners is None else PASSAGES_EACH * k


def products(rows: npt.NDArray[np.float32], vector: DenseRow) -> npt.NDArray[np.float64]:
    """Return the product of each row with a vector, whose bits don't depend on which rows are beside it."""
    scores: npt.NDArray[np.float32] = np.einsum("ij,j->i", rows, vector)
    return scores.astype(np.float64)


def nearest_ahead(
    search: SparseSearch, queries: Sequence[Query], k: int, *, allowed: DocumentFilter | None
) -> list[npt.NDArray[np.int64]] | None:
    """Return what `dense_leg` looks for first, of several queries in one reading of all vectors.

    None where each query is better looked for alone: among many documents, by a graph or codes, or in other processes.
    """
    if search.elsewhere is not None or len(queries) < 2 or _parameters(search, allowed).kind != FLAT:
        return None
    dense = dense_of(search.index)
    vectors = np.stack([checked_query(query.dense, dense) for query in queries])
    return best_of_all(search.index, vectors, _depth(search, k), allowed_rows(search.index, allowed))


def n_allowed(search: SparseSearch, allowed: DocumentFilter | None) -> int | None:
    """Return how many documents may be found; None where neither a filter nor a deletion denies any."""
    if search.elsewhere is not None:
        return search.elsewhere.n_allowed(allowed)
    mask = allowed_rows(search.index, allowed)
    return None if mask is None else int(mask.sum())


def nearest(
    search: SparseSearch, vector: DenseRow, k: int, allowed: DocumentFilter | None, parameters: AnnParameters
) -> npt.NDArray[np.int64]:
    """Return the positions of the documents of the k largest products, and more that may equal the last."""
    if search.elsewhere is not None:
        return search.elsewhere.nearest(vector, k, allowed, parameters)
    index = search.index
    mask = allowed_rows(index, allowed)
    if parameters.kind == FLAT:
        return best_of_all(index, vector[None], k, mask)[0]
    return index.places.of_places(search_ann(_ann(index, parameters), parameters, vector, k, mask))


def allowed_rows(index: StoredIndex, allowed: DocumentFilter | None) -> npt.NDArray[np.bool_] | None:
    """Return which rows of all segments, one after another, may be found: bool; None if all may."""
    if allowed is None:
        if all(segment.live is None for segment in index.segments):
            return None
        return np.concatenate([segment.live_rows for segment in index.segments])
    parts = []
    for number, segment in enumerate(index.segments):
        rows = np.zeros(segment.n_docs, bool)
        rows[segment.arrays["insertion"]] = unpack(allowed.bitmaps[number], segment.n_docs)
        parts.append(rows & segment.live_rows)
    return np.concatenate([np.empty(0, bool), *parts])


def one_position_each(search: SparseSearch, legs: tuple[Leg, Leg]) -> tuple[Leg, Leg]:
    """Return legs in which a document found by several passages is called by the second leg's; else, as they are."""
    if search.owners is None:
        return legs
    first, second = legs
    shown = dict(zip(search.owners(second.docs).tolist(), second.docs.tolist(), strict=True))
    owners = search.owners(first.docs).tolist()
    docs = [shown.get(owner, position) for owner, position in zip(owners, first.docs.tolist(), strict=True)]
    return Leg(np.array(docs, np.int64), first.scores, first.minimum), second


def _ann(index: StoredIndex, parameters: AnnParameters) -> Any:
    from lsr.query.hybrid.ann_cache import ann_of

    with _making:
        found = _kept.get(index)
        if found is None:
            found = _kept[index] = ann_of(index, parameters)
        return found


def best_of_all(
    index: StoredIndex, vectors: npt.NDArray[np.float32], k: int, mask: npt.NDArray[np.bool_] | None
) -> list[npt.NDArray[np.int64]]:
    """Return the positions of each vector's k largest products, and more that may equal the last of them, ascending.

    vectors: float32, (n, dimension). Products of many vectors at once are rounded otherwise than of one, so all within
    that difference of the k-th are returned.
    """
    n_docs = sum(map(len, dense_of(index).matrices))
    # NaN, which only damage leaves, sorts last, and so is found, and named.
    allowed = n_docs if mask is None else int(mask.sum())
    k = min(k, allowed)
    if k == 0:
        return [np.empty(0, np.int64)] * len(vectors)
    scores = np.empty((len(vectors), n_docs), np.float32)
    longest = _fill_products(index, vectors, scores)
    found = []
    for vector, row in zip(vectors, scores, strict=True):
        if mask is not None:
            row[~mask] = -np.inf
        kth = np.partition(row, n_docs - k)[n_docs - k]
        least = kth - 2 * rounding(vector, longest)
        places = np.flatnonzero(~(row < least) if mask is None else ~(row < least) & mask)
        found.append(np.sort(index.places.of_places(places)))
    return found


def rounding(vector: DenseRow, longest: float) -> np.float32:
    """Return the most by which two orders of summing a product can differ. longest: the largest length of a row."""
    return np.float32(len(vector) * np.finfo(np.float32).eps * float(np.linalg.norm(vector)) * longest)


def _fill_products(index: StoredIndex, vectors: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> float:
    """Set scores, (n_vectors, n_docs), to the products with all rows; return the largest length of a row."""
    dense = dense_of(index)
    rows = np.empty((_ROWS, dense.dimension), np.float32)
    longest, done = 0.0, 0
    for matrix in dense.matrices:
        for first in range(0, len(matrix), _ROWS):
            part = rows[: len(matrix) - first]
            np.copyto(part, matrix[first : first + _ROWS])
            np.matmul(vectors, part.T, out=scores[:, done : done + len(part)])
            lengths = np.einsum("ij,ij->i", part, part)
            longest = max(longest, float(lengths.max(initial=0.0, where=np.isfinite(lengths))))
            done += len(part)
    return math.sqrt(longest)
