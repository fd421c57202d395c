"""Documents found by their best passage (MaxP), one hit a document, exactly."""

from __future__ import annotations

from dataclasses import replace

from lsr.encoders.passages import PASSAGE_OF
from lsr.query.searcher import Searcher
from lsr.types import Hit


def search_documents(searcher: Searcher, query: str, k: int = 10) -> list[Hit]:
    """Return the k documents whose best passages score highest: the document's id, the passage's text and score.

    Documents that were indexed whole are their own passage. Passages are asked for until k documents are
    found, or there are no more, so that none is missed. Raises what `Searcher.search` raises.
    """
    vectors = searcher.encode([query])
    depth = 2 * k
    while True:
        (ranking,) = searcher.rank(vectors, depth)
        best: dict[str, int] = {}
        for place, position in enumerate(ranking.positions):
            document = searcher.document(int(position))
            best.setdefault(str(document.fields.get(PASSAGE_OF, document.doc_id)), place)
            if len(best) == k:
                break
        if len(best) == k or len(ranking) < depth:
            hits = searcher.hits(ranking)
            return [
                replace(hits[place], rank=rank, doc_id=doc_id)
                for rank, (doc_id, place) in enumerate(best.items(), start=1)
            ]
        depth *= 4
