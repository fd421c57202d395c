"""Exhaustive scoring in numpy alone: for a single query it is done before a compiler would be loaded.

The same documents, scores and order as every kernel; the tests hold them against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.posting_list import term_postings


def search_plain(
    arrays: Mapping[str, npt.NDArray[Any]],
    terms: npt.NDArray[np.int64],
    weights: npt.NDArray[np.uint32],
    base: int,
    allowed: npt.NDArray[np.uint64],
    k: int,
) -> npt.NDArray[np.uint64]:
    """Return the keys (`lsr.kernels.traversals.topk`) of the k best documents of a segment, best first.

    allowed: uint64, bit d & 63 of word d >> 6 allowing doc_ord d, or empty. Raises IndexDamagedError where a
    posting list leads out of its array.
    """
    try:
        return _best(arrays, terms, weights, base, allowed, k)
    except (IndexError, ValueError) as error:
        raise IndexDamagedError(f"the posting lists are damaged ({error}); 'lsr check' says where") from error


def search_all(
    arrays: Mapping[str, npt.NDArray[Any]],
    terms: npt.NDArray[np.int64],
    weights: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return all documents of a segment with a term, by doc_ord ascending, and their scores.

    allowed, errors: as for `search_plain`.
    """
    try:
        return _scored(arrays, terms, weights, allowed)
    except (IndexError, ValueError) as error:
        raise IndexDamagedError(f"the posting lists are damaged ({error}); 'lsr check' says where") from error


def _scored(
    arrays: Mapping[str, npt.NDArray[Any]], terms: Any, weights: Any, allowed: Any
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    scores = np.zeros(len(arrays["insertion"]), np.uint64)
    for term, weight in zip(terms, weights, strict=True):
        docs, impacts = term_postings(arrays, int(term))
        scores[docs] += np.uint64(weight) * impacts.astype(np.uint64)
    found = np.flatnonzero(scores)
    if len(allowed):
        found = found[(allowed[found >> 6] >> (found & 63).astype(np.uint64)) & np.uint64(1) == 1]
    return found, scores[found]


def _best(
    arrays: Mapping[str, npt.NDArray[Any]], terms: Any, weights: Any, base: int, allowed: Any, k: int
) -> npt.NDArray[np.uint64]:
    found, scores = _scored(arrays, terms, weights, allowed)
    positions = arrays["insertion"][found].astype(np.uint64) + np.uint64(base)
    keys = scores << np.uint64(32) | (np.uint64(0xFFFFFFFF) - positions)
    if len(keys) > k:
        keys = np.partition(keys, len(keys) - k)[-k:]
    return np.sort(keys)[::-1]
