"""The forward index rebuilt from the inverted one: for checking, merging and export."""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import RUN, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.bits import count_ones, trailing_zeros
from lsr.kernels.simd.packed_runs import run_mask

NO_DOC = -1


@kernel
def doc_ords_of(postings, row, doc_ords, impacts):
    """Write the doc_ords (int64) and impacts (uint8) of a term; return whether they ascend and lie in their runs."""
    ordered = True
    last = np.int64(NO_DOC)
    n_docs = postings.insertion.size
    if row < 0:
        start = postings.rare_start[-1 - row]
        for i in range(postings.rare_start[-row] - start):
            posting = postings.rare[start + i]
            doc_ords[i] = np.int64(posting >> np.uint32(8))
            impacts[i] = posting & np.uint32(255)
            ordered = ordered and last < doc_ords[i] < n_docs
            last = doc_ords[i]
        return ordered
    start, stop = postings.frequent_start[row], postings.frequent_start[row + 1]
    runs = postings.runs[row]
    i = 0
    for superblock in range(runs.size // RUN):
        mask = run_mask(runs, superblock)
        ordered = ordered and np.int64(runs[superblock * RUN + 2]) == i and start + i + count_ones(mask) <= stop
        if not ordered:
            return False
        while mask:
            doc_ords[i] = (superblock << SUPERBLOCK_BITS) + trailing_zeros(mask)
            impacts[i] = postings.frequent[start + i]
            last = doc_ords[i]
            mask &= mask - np.uint64(1)
            i += 1
    return start + i == stop and last < n_docs


@kernel
def forward_rows(postings, n_terms):
    """Return indptr (int64), term_ids (uint32, ascending), impacts (uint8) by doc_ord, and whether all lists ascend."""
    n_docs = postings.insertion.size
    indptr = np.zeros(n_docs + 2, np.int64)
    largest = 0
    for t in range(n_terms):
        row = postings.row[t]
        if row >= 0:
            largest = max(largest, postings.frequent_start[row + 1] - postings.frequent_start[row])
        else:
            largest = max(largest, postings.rare_start[-row] - postings.rare_start[-1 - row])
    doc_ords, list_impacts = np.empty(largest, np.int64), np.empty(largest, np.uint8)
    term_ids = np.empty(postings.frequent.size + postings.rare.size, np.uint32)
    impacts = np.empty(term_ids.size, np.uint8)
    ordered = True
    for fill in range(2):
        for t in range(n_terms):
            row = postings.row[t]
            ordered = doc_ords_of(postings, row, doc_ords, list_impacts) and ordered
            if not ordered:
                return indptr[: n_docs + 1], term_ids, impacts, False
            if row >= 0:
                size = postings.frequent_start[row + 1] - postings.frequent_start[row]
            else:
                size = postings.rare_start[-row] - postings.rare_start[-1 - row]
            for i in range(size):
                if fill:
                    at = indptr[doc_ords[i] + 1]
                    term_ids[at], impacts[at] = t, list_impacts[i]
                    indptr[doc_ords[i] + 1] += 1
                else:
                    indptr[doc_ords[i] + 2] += 1
        if not fill:
            for d in range(n_docs + 1):
                indptr[d + 1] += indptr[d]
    return indptr[: n_docs + 1], term_ids, impacts, ordered


@kernel
def take_rows(order, indptr, values):
    """Return the values of the rows `order[0]`, `order[1]`, … of a CSR array, one after another.

    order: int64, rows in [0, indptr.size − 1), all or some of them. indptr: int64. values: any dtype.
    """
    n = 0
    for row in order:
        n += indptr[row + 1] - indptr[row]
    out = np.empty(n, values.dtype)
    at = 0
    for row in order:
        for p in range(indptr[row], indptr[row + 1]):
            out[at] = values[p]
            at += 1
    return out
