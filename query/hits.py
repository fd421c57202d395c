"""Hits of rankings: documents with their scores, ranks, and what each leg of a hybrid search gave them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lsr.query.engine.engine import Ranking
from lsr.types import PASSAGE_FIELDS, PASSAGE_OF, PASSAGE_TITLE, Document, Hit, LegScore, passage_span


def hits_of(
    ranking: Ranking,
    documents: Iterable[Document],
    *,
    first: int = 0,
    query_id: str | None = None,
    fields: Collection[str] | None = None,
    passages: bool = False,
) -> tuple[Hit, ...]:
    """Return the hits of a ranking.

    documents: in the order of the ranking. first: rank before the first hit. query_id: of all hits. fields: those that
    hits carry; default, all. passages: whether documents were cut, and hits are named by their documents.
    """
    found = []
    for place, (document, score) in enumerate(zip(documents, ranking.scores.tolist(), strict=True)):
        doc_id, title, passage, values = document.doc_id, document.title, None, document.fields
        if passages and PASSAGE_OF in values:
            doc_id, passage = str(values[PASSAGE_OF]), passage_span(values)
            title = str(values.get(PASSAGE_TITLE, title))
            values = {name: value for name, value in values.items() if name not in PASSAGE_FIELDS}
        if fields is not None:
            values = {name: values[name] for name in fields if name in values}
        legs = _legs_of(ranking, place) if ranking.legs else None
        rank = first + place + 1
        found.append(Hit(rank, doc_id, score, title, document.text, values, query_id, None, passage, legs))
    return tuple(found)


def _legs_of(ranking: Ranking, place: int) -> tuple[LegScore, ...]:
    return tuple(
        LegScore(leg.name, float(leg.scores[place]), int(leg.ranks[place]))
        if leg.ranks[place]
        else LegScore(leg.name, None, None)
        for leg in ranking.legs
    )
