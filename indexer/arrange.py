"""The order of documents in a segment: alike ones next to each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.layout import SUPERBLOCK
from lsr.kernels.reorder import bisect_range, middle, split_range

LEAF = 8
ROUNDS = 10


def by_bisection(
    indptr: npt.NDArray[np.int64], term_ids: npt.NDArray[Any], n_terms: int, *, threads: int = 2
) -> npt.NDArray[np.int64]:
    """Return doc_ord → row of the forward index, by recursive graph bisection.

    indptr: int64; term_ids: unsigned, below n_terms. The result depends on the rows alone, not on `threads`.
    """
    n_docs = len(indptr) - 1
    order = np.arange(n_docs, dtype=np.int64)
    if n_docs <= LEAF:
        return order
    logs = np.log2(np.arange(1, n_docs + 3, dtype=np.float32))
    ranges = [(0, n_docs)]
    while len(ranges) < threads and ranges[0][1] - ranges[0][0] > 2 * SUPERBLOCK:
        halves = []
        for lo, hi in ranges:
            mid = middle(lo, hi, LEAF)
            degrees = [np.zeros(n_terms, np.int32) for _ in range(2)]
            gains = [np.zeros(n_terms, np.float32) for _ in range(2)]
            touched = np.empty(n_terms, np.int64)
            split_range(order, lo, mid, hi, indptr, term_ids, logs, *degrees, *gains, touched, ROUNDS)
            halves += [(lo, mid), (mid, hi)]
        ranges = halves

    def bisect(span: tuple[int, int]) -> None:
        bisect_range(order, *span, LEAF, indptr, term_ids, n_terms, logs, ROUNDS)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(bisect, ranges))
    return order
