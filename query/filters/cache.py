"""Filters of one index generation by their text, the last used cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import ForkSafeLock, cached_property
from lsr.query.filters.filter import DocumentFilter
from lsr.query.typed_query import Conditions

if TYPE_CHECKING:
    from lsr.query.filters.held_phrases import HeldPhrases

KEPT = 64
"""Filters that are cached: an eighth of a byte a document each."""


class FilterCache:
    """The filters of one generation of an index, compiled once from their text. Safe to use from many threads."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index
        self._kept: dict[str | Conditions, DocumentFilter] = {}
        self._lock = ForkSafeLock()

    def get(self, filter_text: str) -> DocumentFilter:
        """Return the filter of a text. Raises FilterError; see `lsr.query.filters.masks.compile_filter`."""
        if not isinstance(filter_text, str):
            raise UsageError(f'the filter is {filter_text!r:.60}; it must be a text, as "year >= 2020"')

        def compiled() -> DocumentFilter:
            from lsr.query.filters.masks import compile_filter

            return compile_filter(self._index, filter_text, held=self.held)

        return self._cached(filter_text, compiled)

    def meeting(self, conditions: Conditions) -> DocumentFilter:
        """Return the filter of a typed query's conditions. Raises UsageError for an index that holds no texts."""
        return self._cached(conditions, lambda: DocumentFilter.from_mask(self._index, self.held.meet(conditions)))

    def known(self, conditions: Conditions) -> DocumentFilter | None:
        """Return the filter of conditions that is cached, None where there is none."""
        with self._lock:
            return self._kept.get(conditions)

    @cached_property
    def held(self) -> HeldPhrases:
        """Phrases looked up in the documents."""
        from lsr.query.filters.held_phrases import HeldPhrases

        return HeldPhrases(self._index)

    def _cached(self, key: str | Conditions, make: Callable[[], DocumentFilter]) -> DocumentFilter:
        with self._lock:
            found = self._kept.pop(key, None)
            if found is None:
                found = make()
            self._kept[key] = found
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            return found
