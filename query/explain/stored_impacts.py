"""The stored impacts of a few documents, read out of the inverted index.

An index keeps no forward rows. For a handful of documents they are near: a frequent term's postings of one
superblock are a run whose place is known, and rare terms have short lists, in which a document is found by halving.
All this is done in numpy, unless the process has the compiled kernels anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.segment import Segment
from lsr.kernels.geometry import BLOCK_BITS, RUN, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.query.engine.planner import compiled_is_loaded

STRETCH = 1 << 18


def doc_ords_at(segment: Segment, rows: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the doc_ords of the documents that were added as numbers `rows` of a segment."""
    insertion = segment.arrays["insertion"]
    wanted = np.zeros(segment.n_docs, bool)
    wanted[list(rows)] = True
    doc_ords = np.flatnonzero(wanted[insertion])
    found = insertion[doc_ords]
    order = np.argsort(found)
    return doc_ords[order][np.searchsorted(found, rows, sorter=order)]


def impacts_at(
    segment: Segment, terms: npt.NDArray[np.int64], doc_ords: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Return the impacts, uint8, (n_terms, n_docs), 0 where a document lacks a term.

    terms: local ids, as `Segment.local_terms` gives them. Raises IndexDamagedError where a posting list leads
    out of its array.
    """
    impacts = np.zeros((len(terms), len(doc_ords)), np.uint8)
    try:
        for i, term in enumerate(terms.tolist()):
            for j, doc_ord in enumerate(doc_ords.tolist()):
                impacts[i, j] = _impact(segment, term, doc_ord)
    except (IndexError, ValueError) as error:
        raise _damaged(error) from error
    return impacts


def document_rows(
    segment: Segment, doc_ords: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]]:
    """Return the term ids (of the index, ascending) and impacts of documents of a segment.

    Raises IndexDamagedError where a posting list leads out of its array.
    """
    segment.trust()
    arrays, row = segment.arrays, segment.arrays["row"]
    frequent_terms, rare_terms = np.flatnonzero(row >= 0), np.flatnonzero(row < 0)  # rows count in their order
    try:
        at = _places(segment, np.unique(doc_ords))
        rare, rare_of = arrays["rare"][at], np.searchsorted(arrays["rare_start"], at, side="right") - 1
        rows = []
        for doc_ord in doc_ords.tolist():
            mine = rare >> 8 == doc_ord
            in_its_block = np.flatnonzero(segment.arrays["block_max"][:, doc_ord >> BLOCK_BITS])
            frequent_of, frequent_impacts = _held(segment, in_its_block, doc_ord)
            local = np.concatenate([frequent_terms[frequent_of], rare_terms[rare_of[mine]]])
            impacts = np.concatenate([frequent_impacts, rare[mine] & 255]).astype(np.uint8)
            order = np.argsort(local)
            segment.trust(local)
            rows.append((segment.terms[local[order]].astype(np.int32), impacts[order]))
    except (IndexError, ValueError) as error:
        raise _damaged(error) from error
    return rows


def _impact(segment: Segment, term: int, doc_ord: int) -> int:
    arrays = segment.arrays
    row = int(arrays["row"][term])
    if row < 0:
        start = arrays["rare_start"]
        postings = arrays["rare"][start[-1 - row] : start[-row]]
        at = int(np.searchsorted(postings, np.uint32(doc_ord << 8)))
        found = int(postings[at]) if at < len(postings) else 0
        return found & 255 if found >> 8 == doc_ord else 0
    rows, impacts = _held(segment, np.array([row]), doc_ord)
    return int(impacts[0]) if len(rows) else 0


def _held(
    segment: Segment, rows: npt.NDArray[np.int64], doc_ord: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return which of some frequent terms, by row, a document holds, and their impacts."""
    arrays, first = segment.arrays, (doc_ord >> SUPERBLOCK_BITS) * RUN
    low, high, start = arrays["runs"][rows, first : first + RUN].T.astype(np.uint64)
    mask, bit = low | high << np.uint64(32), np.uint64(1) << np.uint64(doc_ord & (SUPERBLOCK - 1))
    holding = np.flatnonzero(mask & bit)
    earlier = np.bitwise_count(mask[holding] & (bit - np.uint64(1)))
    held = rows[holding]
    at = arrays["frequent_start"][held] + start[holding].astype(np.int64) + earlier
    return held, arrays["frequent"][at]


def _places(segment: Segment, doc_ords: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the places of documents' postings among those of rare terms, ascending. doc_ords: ascending."""
    rare = segment.arrays["rare"]
    if compiled_is_loaded():
        from lsr.kernels.build.find_documents import places_of

        found: npt.NDArray[np.int64] = places_of(segment.arrays["rare_start"], rare, doc_ords)
        return found
    wanted = np.zeros(segment.n_docs, bool)
    wanted[doc_ords] = True
    # A stretch at a time, so that caches hold it.
    stretches = range(0, len(rare), STRETCH)
    some = [np.flatnonzero(wanted[rare[first : first + STRETCH] >> 8]) + first for first in stretches]
    return np.concatenate([np.empty(0, np.int64), *some])


def _damaged(error: Exception) -> IndexDamagedError:
    return IndexDamagedError(f"the posting lists are damaged ({error}); 'lsr check' says where")
