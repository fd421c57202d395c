"""Queries to tune with: made from an index's own documents, or judged by people."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lsr.errors import LsrError
from lsr.indexer.storage.index import StoredIndex
from lsr.training.synthetic.queries import QueryGeneration, generate_queries
from lsr.types import Document

TRIED_PER_QUERY = 4
"""Documents looked at for each query wanted: short texts, near-duplicates and generic titles give none."""


Judgements = tuple[Mapping[str, str], Mapping[str, Mapping[str, int]]]
"""Texts of queries by id, and relevance by query id and doc_id."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A query with its relevant documents.

    relevant: relevance above 0 by position. changed: stands in for the document at `position`, whose text held the
    query; None where every document is searched as it is.
    """

    text: str
    relevant: Mapping[int, float]
    changed: Document | None = None
    position: int = -1


def made_probes(index: StoredIndex, n: int, *, seed: int = 0) -> list[Probe]:
    """Return up to n queries made from documents of an index, a random sample.

    The text of a query is removed from its document nine times in ten (`QueryGeneration`), so that finding it again
    takes more than finding the same words. Raises LsrError where no document gives a query.
    """
    chance = random.Random(seed)
    positions = np.flatnonzero(_live(index)).tolist()
    chosen = chance.sample(positions, min(len(positions), TRIED_PER_QUERY * n))
    places: dict[str, int] = {}
    probes = []
    # One passage is one document here: passages are found, and hold the queries that are made from them.
    generation = QueryGeneration(passage_words=0, seed=seed)
    for example in islice(generate_queries(_named(index, chosen, places), generation), n):
        document = example.documents[0]
        position = places[document.doc_id]
        probes.append(Probe(example.query, {position: 1.0}, document, position))
    if not probes:
        raise LsrError(f"{index.path}: no query can be made from its documents: they are too short, or hold no text")
    return probes


def judged_probes(
    index: StoredIndex, queries: Mapping[str, str], judgements: Mapping[str, Mapping[str, int]]
) -> list[Probe]:
    """Return judged queries with a relevant document in an index, in their order.

    queries: texts by id. judgements: relevance by query id and doc_id. Raises LsrError where there are none.
    """
    positions = _positions(index, {doc_id for judged in judgements.values() for doc_id in judged})
    probes = []
    for query_id, judged in judgements.items():
        relevant = {
            position: float(relevance)
            for doc_id, relevance in judged.items()
            if relevance > 0
            for position in positions.get(doc_id, ())[:1]
        }
        if relevant and queries.get(query_id, "").strip():
            probes.append(Probe(queries[query_id], relevant))
    if not probes:
        raise LsrError(
            f"{index.path}: none of the {len(judgements):,} judged queries has a text and a relevant document in it"
        )
    return probes


def _live(index: StoredIndex) -> np.ndarray:
    live = np.zeros(index.n_positions, bool)
    for number, segment in enumerate(index.segments):
        live[index.places.at(number, np.flatnonzero(segment.live_rows))] = True
    return live


def _named(index: StoredIndex, positions: list[int], places: dict[str, int]) -> Iterator[Document]:
    """Yield documents under names of their own, since passages share a doc_id; `places` gets their positions."""
    for position in positions:
        ((segment, _, rows),) = index.by_segment(np.array([position], np.int64))
        document = segment.document(rows[0])
        name = f"{position}"
        places[name] = position
        yield Document(name, document.text, document.title)


def _positions(index: StoredIndex, wanted: set[str]) -> dict[str, list[int]]:
    """Return the positions of documents, or of all their passages, by doc_id."""
    found: dict[str, list[int]] = {}
    for number, segment in enumerate(index.segments):
        rows = np.flatnonzero(segment.live_rows)
        store = segment.documents
        of = store.doc_ids if index.manifest.passages is None else store.document_ids
        at = index.places.at(number, rows).tolist()
        for doc_id, position in zip(of(rows.tolist()), at, strict=True):
            if doc_id in wanted:
                found.setdefault(doc_id, []).append(position)
    return found
