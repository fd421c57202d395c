"""The documents of an index with their terms and impacts, in the order in which they were added."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.reweigh import stored_rows
from lsr.types import Document

AT_ONCE = 4096
"""Documents whose postings are gathered together."""


class Row(NamedTuple):
    """A document. term_ids: int32, ascending; impacts: uint8, one each. place: its position in the index."""

    place: int
    document: Document
    term_ids: npt.NDArray[np.int32]
    impacts: npt.NDArray[np.uint8]


def rows_of(index: StoredIndex) -> Iterator[Row]:
    """Yield the documents that are not deleted, in the order of addition. Raises IndexDamagedError."""
    found = [_of_segment(index, number) for number in range(len(index.segments))]
    if index.places.is_sequential:
        return chain.from_iterable(found)
    return heapq.merge(*found, key=lambda row: row.place)


def _of_segment(index: StoredIndex, number: int) -> Iterator[Row]:
    from lsr.kernels.build.forward import take_rows

    segment = index.segments[number]
    indptr, local, impacts = stored_rows(segment)
    doc_ords = np.empty(segment.n_docs, np.int64)
    doc_ords[segment.arrays["insertion"]] = np.arange(segment.n_docs)
    rows = np.flatnonzero(segment.live_rows)
    places = index.places.at(number, rows).tolist()
    documents = segment.documents.some(segment.live_rows)
    lengths = np.diff(indptr)
    for first in range(0, len(rows), AT_ONCE):
        order = doc_ords[rows[first : first + AT_ONCE]]
        ends = np.cumsum(lengths[order])
        term_ids = segment.terms[take_rows(order, indptr, local)].astype(np.int32)
        values = take_rows(order, indptr, impacts)
        begin = 0
        for i, (document, end) in enumerate(zip(islice(documents, len(order)), ends.tolist(), strict=True)):
            yield Row(places[first + i], document, term_ids[begin:end], values[begin:end])
            begin = end
