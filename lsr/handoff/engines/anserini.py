"""Anserini and pyserini: JSON lines of whole weights, as `JsonVectorCollection` reads them for impact search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, Lines, Point, QueryTerms, compact

LARGEST_WEIGHT = 1023
"""Of a query: 10 bits, as often as its heaviest token is repeated; of 8 bits, 16 of 225 queries change order."""


class Anserini(Engine):
    """JSON lines; a query is its tokens, each as often as its weight says."""

    name, title = "anserini", "Anserini"

    def writer(self, folder: Path, facts: Facts) -> Lines:
        """Return a writer of JSON lines."""
        return Lines(folder, facts, "jsonl", lambda p: compact({"id": p.doc_id, "contents": "", "vector": p.vector}))

    def fault(self, point: Point) -> str | None:
        """Return the limit of tokens: white space parts them."""
        split = any(len(term.split()) != 1 for term in point.terms)
        return "a term with white space, which parts tokens there" if split else None

    def leaves_out(self, point: Point) -> str | None:
        """Leave out documents without a term, as Anserini does."""
        return None if point.terms else "documents without a term"

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the tokens, repeated, in one text."""
        whole, unit = query.whole(LARGEST_WEIGHT)
        pairs = zip(whole.terms, whole.weights, strict=True)
        return " ".join(" ".join([term] * int(weight)) for term, weight in pairs), unit

    def files(self, facts: Facts) -> dict[str, str]:
        """Return what to do with the data."""
        readme = f"""{facts.n_docs:,} documents for Anserini.

    python -m pyserini.index.lucene --collection JsonVectorCollection --input data --index index \\
        --generator DefaultLuceneDocumentGenerator --threads 4 --impact --pretokenized --optimize

    import lsr.handoff
    handoff = lsr.handoff.open(".")
    tokens = handoff.query("a question")            # for a topics file of pre-tokenised queries: ID, tab, tokens

Query weights are whole numbers of 10 bits, so documents of nearly equal scores may change places.
A score times `handoff.encode("a question").unit` is the score of the index.
"""
        return {"README.txt": readme}


ENGINE = Anserini()
