"""OpenSearch: the field type `rank_features`, searched exactly by `neural_sparse` with ready tokens.

Query weights must be above 0 and at most 64: larger ones are divided by a power of two, which changes no order.
"""

from __future__ import annotations

from typing import Any

from lsr.handoff.engine import QueryTerms
from lsr.handoff.engines.elasticsearch import Elasticsearch

LARGEST_WEIGHT = 64.0


class OpenSearch(Elasticsearch):
    """Bulk files as Elasticsearch takes them, with another mapping and query."""

    name, title = "opensearch", "OpenSearch"
    field: dict[str, Any] = {"type": "rank_features"}  # noqa: RUF012

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the body of a search request."""
        fitted, divisor = query.below(LARGEST_WEIGHT)
        return self.request({"neural_sparse": {"impacts": {"query_tokens": fitted.by_term}}}, k), divisor


ENGINE = OpenSearch()
