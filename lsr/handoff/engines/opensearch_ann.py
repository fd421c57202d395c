"""OpenSearch 3.3 and newer: the field type `sparse_vector` with the approximate method SEISMIC.

Its keys are term ids. Weights are clipped at a ceiling for documents and another for queries, and quantised to 8 bits
below it: both are 255 here, and the weights of a query are scaled by a power of two up to it.
"""

from __future__ import annotations

from typing import Any

from lsr.handoff.engine import WHOLE, Point, QueryTerms
from lsr.handoff.engines.elasticsearch import Elasticsearch

CUT = 10
HEAP_FACTOR = 1.0


class OpenSearchAnn(Elasticsearch):
    """Bulk files by term ids, for an approximate search."""

    name, title = "opensearch-ann", "OpenSearch (approximate)"
    field: dict[str, Any] = {  # noqa: RUF012
        "type": "sparse_vector",
        "method": {
            "name": "seismic",
            "engine": "lucene",
            "parameters": {
                "n_postings": 6000, "cluster_ratio": 0.1, "summary_prune_ratio": 0.4,
                "approximate_threshold": 1_000_000, "quantization_ceiling_ingest": WHOLE,
                "quantization_ceiling_search": WHOLE,
            },
        },
    }  # fmt: skip

    def vector(self, point: Point) -> dict[str, int]:
        """Return the impacts by term ids, as texts."""
        return dict(zip(map(str, point.term_ids.tolist()), point.impacts.tolist(), strict=True))

    def settings(self) -> dict[str, Any]:
        """Return the setting that switches the method on."""
        return {"settings": {"index.sparse": True}}

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the body of a search request."""
        factor = 1.0
        most = max(query.weights, default=0.0)
        while 0 < most * factor <= WHOLE / 2:
            factor *= 2
        while most * factor > WHOLE:
            factor /= 2
        weights = {str(term_id): weight for term_id, weight in query.times(factor).by_id.items()}
        method = {"k": k, "top_n": CUT, "heap_factor": HEAP_FACTOR}
        clause = {"neural_sparse": {"impacts": {"query_tokens": weights, "method_parameters": method}}}
        return {"size": k, "query": clause}, 1 / factor


ENGINE = OpenSearchAnn()
