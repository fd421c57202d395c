"""The dense leg of a union: the best documents of all by their dense vectors, whatever the sparse leg found."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
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
from lsr.query.hybrid.dense_scores import DenseReranker, checked_query, dense_of, ranked_leg
from lsr.query.queries import DenseRow, Query

if TYPE_CHECKING:
    from lsr.query.filters.filter import DocumentFilter
    from lsr.query.sparse_search import SparseSearch

FEW_ALLOWED = 20_000
"""Documents that a filter leaves, up to which all are scored. A graph is slow, and misses, among few."""
PASSAGES_EACH, DEEPER = 3, 4
_ROWS = 1 << 13

_kept: weakref.WeakKeyDictionary[StoredIndex, Any] = weakref.WeakKeyDictionary()
_making = ForkSafeLock()


def dense_leg(search: SparseSearch, query: Query, k: int, *, allowed: DocumentFilter | None = None) -> tuple[Leg, str]:
    """Return the k best documents by dense vectors, exactly scored, and how they were looked for.

    Where documents were cut into passages, it holds the best passage of each. Raises IndexDamagedError for vectors
    that aren't made of numbers.
    """
    if k < 1:
        raise UsageError(f"k is {k}; it must be at least 1")
    dense = dense_of(search.index)
    vector = checked_query(query.dense, dense)
    n_found = n_allowed(search, allowed)
    parameters = choose_parameters(sum(map(len, dense.matrices)), dense.dimension)
    if n_found is not None and n_found <= FEW_ALLOWED:
        parameters = AnnParameters(FLAT)
    reranker = DenseReranker()
    minimum = reranker.minimum(search)
    depth = k if search.owners is None else PASSAGES_EACH * k
    while True:
        positions = nearest(search, vector, depth, allowed, parameters)
        leg = ranked_leg(positions, reranker.scores(search, query, positions), minimum)
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
        return best_of_all(index, vector, k, mask)[0]
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
    index: StoredIndex, vector: DenseRow, k: int, mask: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the positions of the k largest products and more that equal the last of them, ascending; the products."""
    scores = np.concatenate([np.empty(0, np.float32), *_products(index, vector)])
    if mask is not None:
        scores[~mask] = -np.inf
    # NaN, which only damage leaves, sorts last, and so is found, and named.
    allowed = len(scores) if mask is None else int(mask.sum())
    k = min(k, allowed)
    if k == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    places = np.flatnonzero(~(scores < kth))
    found = index.places.of_places(places)
    if index.places.is_sequential:
        return found, scores[places]
    order = np.argsort(found)
    return found[order], scores[places][order]


def _products(index: StoredIndex, vector: DenseRow) -> Iterator[npt.NDArray[np.float32]]:
    dense = dense_of(index)
    for matrix in dense.matrices:
        for first in range(0, len(matrix), _ROWS):
            yield matrix[first : first + _ROWS].astype(np.float32) @ vector
