"""A retriever of Haystack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.api.index import Index
from lsr.integrations.common import MissingFrameworkError, metadata_of, opened
from lsr.integrations.haystack_filters import where_of

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise MissingFrameworkError("haystack-ai") from error


@component
class LsrRetriever:
    """Search of an index, as a component: it takes a `query`, and gives `documents`.

    index: an `lsr.Index`, or the path or URL of one. top_k: number of documents. filters: Haystack's, or a filter such
    as `year >= 2020`. options: further options of every search, as of `Index.search`. A pipeline's `dumps` keeps the
    path. A document's meta are its fields, with `title`.
    """

    def __init__(
        self,
        index: Index | str | Path,
        top_k: int = 10,
        filters: Mapping[str, Any] | str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._index = opened(index)
        # A URL's index lies in the cache; what is written down is the URL.
        self._place = str(self._index.path) if isinstance(index, Index) else str(index)
        self._top_k, self._filters, self._options = top_k, filters, dict(options or {})

    def to_dict(self) -> dict[str, Any]:
        """Return the component as a dict, the index by its path or URL."""
        given = {"top_k": self._top_k, "filters": self._filters, "options": self._options}
        found: dict[str, Any] = default_to_dict(self, index=self._place, **given)
        return found

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LsrRetriever:
        """Return the component of such a dict, its index opened."""
        found: LsrRetriever = default_from_dict(cls, data)
        return found

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, top_k: int | None = None, filters: Mapping[str, Any] | str | None = None
    ) -> dict[str, list[Document]]:
        """Return the documents of a query, best first. top_k, filters: default, those of the component."""
        chosen = self._filters if filters is None else filters
        given = {**self._options, "k": self._top_k if top_k is None else top_k}
        if chosen:
            given["where"] = chosen if isinstance(chosen, str) else where_of(chosen)
        found = [
            Document(id=hit.doc_id, content=hit.text, meta=metadata_of(hit), score=hit.score)
            for hit in self._index.search(query, **given)
        ]
        return {"documents": found}
