"""Rankings as hits: documents with their scores, ranks, and what each leg of a hybrid search said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lsr.query.engine.engine import Ranking
from lsr.types import PASSAGE_OF, Document, Hit, LegScore, passage_span


def hits_of(
    ranking: Ranking, documents: Iterable[Document], *, query_id: str | None = None, passages: bool = False
) -> list[Hit]:
    """Return the hits of a ranking. documents: in its order; passages: they are those of cut documents, which the
    hits name. query_id: to be noted.
    """
    found = []
    for rank, (document, score) in enumerate(zip(documents, ranking.scores.tolist(), strict=True), start=1):
        doc_id, passage = document.doc_id, None
        if passages and PASSAGE_OF in document.fields:
            doc_id, passage = str(document.fields[PASSAGE_OF]), passage_span(document.fields)
        hit = Hit(rank, doc_id, score, document.title, document.text, query_id=query_id, passage=passage)
        found.append(replace(hit, legs=_legs_of(ranking, rank - 1)) if ranking.legs else hit)
    return found


def _legs_of(ranking: Ranking, place: int) -> tuple[LegScore, ...]:
    return tuple(
        LegScore(leg.name, float(leg.scores[place]), int(leg.ranks[place]))
        if leg.ranks[place]
        else LegScore(leg.name, None, None)
        for leg in ranking.legs
    )
