"""Which documents may be found: a bitmap a segment, which every traversal takes and skips by."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.storage.deletions import pack
from lsr.indexer.storage.index import Index

KEPT = 64
"""Filters that are kept: an eighth of a byte a document each."""


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """The documents allowed, for one generation of an index.

    bitmaps: uint64, (n_superblocks of the segment), bit d & 63 of word d >> 6 allowing doc_ord d.
    """

    bitmaps: tuple[npt.NDArray[np.uint64], ...]
    n_allowed: int

    @classmethod
    def from_mask(cls, index: Index, mask: npt.NDArray[np.bool_]) -> DocumentFilter:
        """Allow the documents whose place in `mask` is true: bool, by position, (`index.n_positions`).

        Deleted documents are not allowed, whatever it says. Raises UsageError for a mask of another length.
        """
        mask = np.asarray(mask, bool)
        if mask.shape != (index.n_positions,):
            raise UsageError(f"the filter is of shape {mask.shape}, but the index has {index.n_positions} documents")
        bitmaps, first, n_allowed = [], 0, 0
        for segment in index.segments:
            of_segment = mask[first : first + segment.n_docs] & segment.live_rows
            bitmaps.append(pack(of_segment[segment.arrays["insertion"]]))
            first += segment.n_docs
            n_allowed += int(of_segment.sum())
        return cls(tuple(bitmaps), n_allowed)

    @classmethod
    def from_doc_ids(cls, index: Index, doc_ids: Iterable[str]) -> DocumentFilter:
        """Allow the documents with these ids; ids that the index doesn't have are passed over."""
        wanted = list(doc_ids)
        mask = np.zeros(index.n_positions, bool)
        first = 0
        for segment in index.segments:
            rows = [row for row in segment.find(wanted) if row is not None]
            mask[first + np.array(rows, np.int64)] = True
            first += segment.n_docs
        return cls.from_mask(index, mask)


class FilterCache:
    """The filters of one generation of an index, made from text once and kept, those that were used last."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._kept: dict[str, DocumentFilter] = {}
        self._lock = threading.Lock()

    def get(self, filter_text: str) -> DocumentFilter:
        """Return the filter that a text means. Raises FilterError; see `lsr.query.filters.masks.compile_filter`."""
        with self._lock:
            found = self._kept.pop(filter_text, None)
            if found is None:
                from lsr.query.filters.masks import compile_filter

                found = compile_filter(self._index, filter_text)
            self._kept[filter_text] = found
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            return found
