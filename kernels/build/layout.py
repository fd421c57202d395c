"""The inverted index of a segment as flat arrays, and its construction from forward rows.

Documents are numbered by doc_ord in an order where similar ones are neighbours, in blocks, superblocks and pages (see
`lsr.kernels.geometry`).

A term is *frequent* if at least one of every FREQUENT documents holds it, else *rare*:

- frequent: the impacts, a byte a posting, in doc_ord order; of each superblock a mask of the documents
  that hold the term, and where their impacts start (`lsr.kernels.simd.packed_runs`); and the largest impact of
  every block and of every superblock, a byte each, zero where there is none.
- rare: postings of four bytes, `doc_ord << 8 | impact`, in doc_ord order, and nothing else.

So a segment holds at most MAX_DOCS documents, and any number of terms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import (
    BLOCK_BITS,
    FREQUENT,
    MAX_DOCS,
    RUN,
    SUPERBLOCK,
    SUPERBLOCK_BITS,
    SUPERBLOCK_BLOCKS,
)
from lsr.kernels.jit.compile import kernel


class Postings(NamedTuple):
    """The inverted index of a segment of n_docs documents, n_terms terms, n_superblocks superblocks.

    row: int32 (n_terms): of a frequent term its row in `block_max`, of a rare one −1 − its rank among
    the rare. block_max: uint8 (n_frequent, n_superblocks · SUPERBLOCK_BLOCKS). superblock_max: uint8 (n_frequent,
    n_superblocks). runs: uint32 (n_frequent, n_superblocks · RUN), see `lsr.kernels.simd.packed_runs`. frequent_start:
    int64 (n_frequent + 1). frequent: uint8. rare_start: int64 (n_rare + 1). rare: uint32. insertion:
    uint32 (n_docs), the position at which each doc_ord was added, which decides ties.
    """

    row: npt.NDArray[np.int32]
    block_max: npt.NDArray[np.uint8]
    superblock_max: npt.NDArray[np.uint8]
    runs: npt.NDArray[np.uint32]
    frequent_start: npt.NDArray[np.int64]
    frequent: npt.NDArray[np.uint8]
    rare_start: npt.NDArray[np.int64]
    rare: npt.NDArray[np.uint32]
    insertion: npt.NDArray[np.uint32]


@kernel
def count_terms(term_ids, df):
    """Add to df (int64, one a term) the number of times that each term occurs in term_ids."""
    for t in term_ids:
        df[t] += 1


@kernel
def fill(order, indptr, term_ids, impacts, row, frequent_cursor, rare_cursor, out):
    """Write all postings of the forward rows, taken in `order`, into the arrays of `out`.

    order: doc_ord → row of the forward index. indptr: int64, term_ids: unsigned, impacts: uint8, of the
    forward index. frequent_cursor, rare_cursor: int64, copies of the starts, used up. out.block_max,
    out.superblock_max and out.runs are zero on entry.
    """
    n_docs = order.size
    n_frequent = out.block_max.shape[0]
    for doc_ord in range(n_docs):
        superblock = doc_ord >> SUPERBLOCK_BITS
        if doc_ord & (SUPERBLOCK - 1) == 0:
            for r in range(n_frequent):
                out.runs[r, superblock * RUN + 2] = frequent_cursor[r] - out.frequent_start[r]
        block = doc_ord >> BLOCK_BITS
        word = superblock * RUN + (doc_ord >> 5 & 1)
        bit = np.uint32(1) << np.uint32(doc_ord & 31)
        doc = order[doc_ord]
        for p in range(indptr[doc], indptr[doc + 1]):
            impact = np.int64(impacts[p])
            r = row[term_ids[p]]
            if r >= 0:
                out.frequent[frequent_cursor[r]] = impact
                out.runs[r, word] |= bit
                frequent_cursor[r] += 1
                if impact > out.block_max[r, block]:
                    out.block_max[r, block] = impact
                    if impact > out.superblock_max[r, superblock]:
                        out.superblock_max[r, superblock] = impact
            else:
                out.rare[rare_cursor[-1 - r]] = doc_ord << 8 | impact
                rare_cursor[-1 - r] += 1


def build(indptr, term_ids, impacts, n_terms, order) -> Postings:
    """Invert forward rows in memory. See `Postings`; order: doc_ord → forward row, a permutation.

    Raises ValueError if there are more than MAX_DOCS documents.
    """
    n_docs = len(order)
    if n_docs > MAX_DOCS:
        raise ValueError(f"{n_docs:,} documents are more than one segment holds ({MAX_DOCS:,}): make several segments")
    df = np.zeros(n_terms, np.int64)
    count_terms(term_ids, df)
    is_frequent = df * FREQUENT >= max(n_docs, 1)
    row = np.empty(n_terms, np.int32)
    row[is_frequent] = np.arange(is_frequent.sum())
    row[~is_frequent] = -1 - np.arange((~is_frequent).sum())
    n_superblocks = -(-n_docs // SUPERBLOCK)
    frequent_start = np.concatenate([[0], np.cumsum(df[is_frequent])]).astype(np.int64)
    rare_start = np.concatenate([[0], np.cumsum(df[~is_frequent])]).astype(np.int64)
    n_frequent = len(frequent_start) - 1
    out = Postings(
        row=row,
        block_max=np.zeros((n_frequent, n_superblocks * SUPERBLOCK_BLOCKS), np.uint8),
        superblock_max=np.zeros((n_frequent, n_superblocks), np.uint8),
        runs=np.zeros((n_frequent, n_superblocks * RUN), np.uint32),
        frequent_start=frequent_start,
        frequent=np.empty(frequent_start[-1], np.uint8),
        rare_start=rare_start,
        rare=np.empty(rare_start[-1], np.uint32),
        insertion=np.asarray(order, np.uint32),
    )
    fill(order, indptr, term_ids, impacts, row, frequent_start[:-1].copy(), rare_start[:-1].copy(), out)
    return out
