"""Vespa: a `weightedset<string>` of whole weights, searched exactly by `wand`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lsr.handoff.engine import Engine, Facts, Lines, Point, QueryTerms, compact

LARGEST_WEIGHT = (1 << 16) - 1
"""Largest weight of a query, of 16 bits: sums of products with impacts stay below 2³¹."""


class Vespa(Engine):
    """A feed of documents and a schema."""

    name, title = "vespa", "Vespa"

    def writer(self, folder: Path, facts: Facts) -> Lines:
        """Return a writer of a feed."""
        return Lines(folder, facts, "jsonl", _line)

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the body of a query request."""
        whole, unit = query.whole(LARGEST_WEIGHT)
        wand = f"{{targetHits: {k}}}wand(impacts, @weights)"
        yql = " ".join(["select doc_id, title, text from doc where", wand])
        return {"yql": yql, "weights": compact(whole.by_term), "ranking": "impacts", "hits": k}, unit

    def files(self, facts: Facts) -> dict[str, str]:
        """Return the schema and what to do with it."""
        readme = f"""{facts.n_docs:,} documents for Vespa. Put doc.sd into the application's schemas/, deploy it, then

    vespa feed data/part-*.jsonl

    import lsr.handoff
    handoff = lsr.handoff.open(".")
    body = handoff.query("a question", k=10)        # the body of POST /search/

Weights are whole numbers; a relevance times `handoff.encode("a question").unit` is the score of the index.
"""
        return {"doc.sd": _SCHEMA, "README.txt": readme}


def _line(point: Point) -> str:
    fields: dict[str, Any] = {
        "doc_id": point.doc_id, "position": point.position, "title": _text(point.title), "text": _text(point.text),
        "impacts": point.vector,
    }  # fmt: skip
    return compact({"put": f"id:lsr:doc::{quote(point.doc_id, safe='')}", "fields": fields})


def _text(text: str) -> str:
    """Return a text without the control characters that Vespa refuses."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]", " ", text)


_SCHEMA = """schema doc {
  document doc {
    field doc_id type string { indexing: summary | attribute }
    field position type long { indexing: summary | attribute }
    field title type string { indexing: summary | index }
    field text type string { indexing: summary | index }
    field impacts type weightedset<string> {
      indexing: attribute
      attribute: fast-search
    }
  }
  rank-profile impacts {
    first-phase { expression: rawScore(impacts) }
  }
}
"""

ENGINE = Vespa()
