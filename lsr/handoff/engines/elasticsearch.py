"""Elasticsearch: the field type `sparse_vector`, whose weights Lucene's FeatureField keeps to 9 significant bits.

Impacts are whole numbers up to 255, so nothing is lost. Elasticsearch prunes tokens of queries by default.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, Lines, Point, QueryTerms, compact

LONGEST_ID = 512


class Elasticsearch(Engine):
    """Bulk files and a mapping with exact, unpruned search."""

    name, title = "elasticsearch", "Elasticsearch"
    field: dict[str, Any] = {"type": "sparse_vector", "index_options": {"prune": False}}  # noqa: RUF012

    def writer(self, folder: Path, facts: Facts) -> Lines:
        """Return a writer of bulk requests."""
        return Lines(folder, facts, "ndjson", self.line)

    def line(self, point: Point) -> str:
        """Return the two lines of a document."""
        source: dict[str, Any] = {"position": point.position, "title": point.title, "text": point.text}
        if point.fields:
            source["fields"] = dict(point.fields)
        if point.terms:
            source["impacts"] = self.vector(point)
        return f"{compact({'index': {'_id': point.doc_id}})}\n{compact(source)}"

    def vector(self, point: Point) -> dict[str, int]:
        """Return the impacts by their keys."""
        return point.vector

    def fault(self, point: Point) -> str | None:
        """Return the limit of doc_ids."""
        return f"a doc_id of more than {LONGEST_ID} bytes" if len(point.doc_id.encode()) > LONGEST_ID else None

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the body of a search request; equal scores come in the order of addition."""
        clause = {"sparse_vector": {"field": "impacts", "query_vector": query.by_term, "prune": False}}
        return self.request(clause, k), 1.0

    @staticmethod
    def request(clause: Any, k: int) -> dict[str, Any]:
        """Return the request of a clause."""
        return {"size": k, "query": clause, "sort": [{"_score": "desc"}, {"position": "asc"}], "track_scores": True}

    def files(self, facts: Facts) -> dict[str, str]:
        """Return the mapping and what to do with it."""
        properties = {
            "position": {"type": "long"}, "title": {"type": "text"}, "text": {"type": "text"},
            "fields": {"type": "flattened"}, "impacts": self.field,
        }  # fmt: skip
        mapping = {**self.settings(), "mappings": {"properties": properties}}
        return {"mapping.json": json.dumps(mapping, indent=1) + "\n", "README.txt": self.readme(facts)}

    def settings(self) -> dict[str, Any]:
        """Return the settings of the index beside its mapping."""
        return {}

    def readme(self, facts: Facts) -> str:
        """Return the commands that load and search the data."""
        return f"""{facts.n_docs:,} documents for {self.title}. Impacts are stored as they are.

    curl -X PUT $URL/docs -H 'Content-Type: application/json' --data-binary @mapping.json
    for part in data/part-*.ndjson; do
      curl -X POST $URL/docs/_bulk -H 'Content-Type: application/x-ndjson' --data-binary @$part > /dev/null
    done
    curl -X POST $URL/docs/_refresh

A part of 100,000 documents may be beyond http.max_content_length: --part-docs makes smaller ones.

    import lsr.handoff
    handoff = lsr.handoff.open(".")
    body = handoff.query("a question", k=10)        # the body of POST $URL/docs/_search

A score times `handoff.encode("a question").unit` is the score of the index ({facts.scale:.6g} a point).
"""


ENGINE = Elasticsearch()
