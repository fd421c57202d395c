"""Filters of one index generation by their text, the last used cached."""

from __future__ import annotations

from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.filters.filter import DocumentFilter

KEPT = 64
"""Filters that are cached: an eighth of a byte a document each."""


class FilterCache:
    """The filters of one generation of an index, compiled once from their text. Safe to use from many threads."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index
        self._kept: dict[str, DocumentFilter] = {}
        self._lock = ForkSafeLock()

    def get(self, filter_text: str) -> DocumentFilter:
        """Return the filter of a text. Raises FilterError; see `lsr.query.filters.masks.compile_filter`."""
        if not isinstance(filter_text, str):
            raise UsageError(f'the filter is {filter_text!r:.60}; it must be a text, as "year >= 2020"')
        with self._lock:
            found = self._kept.pop(filter_text, None)
            if found is None:
                from lsr.query.filters.masks import compile_filter

                found = compile_filter(self._index, filter_text)
            self._kept[filter_text] = found
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            return found
