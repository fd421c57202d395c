"""Explanation of hits: the contribution of each query term to a score, and its places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.encoders.lexical.exact_words import MARK, is_word_term
from lsr.query.engine.query_weights import integer_weights
from lsr.query.explain.term_spans import Placed, TermFinder, TermSpan
from lsr.query.sparse_search import SparseSearch
from lsr.query.stages import Found
from lsr.types import FacetValue, Hit, MissingShard, TermContribution

if TYPE_CHECKING:
    from lsr.indexer.storage.index import StoredIndex

SEARCHED_CHARACTERS = 200_000
"""Of a text that are looked through for terms."""
LONGEST_WORD = 40
_WORD_END, _WORD_START = re.compile(r"[^\W_]*\Z"), re.compile(r"[^\W_]*")


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of the query's vector. in_query: it stands in the query; else the encoder expanded to it."""

    term: str
    weight: float
    in_query: bool


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine's work for a query.

    traversals: what ran, a segment each. n_postings: of the query's terms. n_superblocks: of 64 documents, in all;
    n_bounded, n_scored: of these, whose bound reached the first threshold, and those scored, by traversals that prune.
    Times in µs: query text to vectors; feedback, 0 without; search; reading the documents; the second
    leg and the fusion of a hybrid search, 0 for others.
    """

    n_docs: int
    n_segments: int
    traversals: tuple[str, ...]
    n_terms: int
    n_postings: int
    n_superblocks: int
    n_bounded: int
    n_scored: int
    encode_us: float
    feedback_us: float
    search_us: float
    documents_us: float
    rerank_us: float = 0.0


@dataclass(frozen=True, slots=True)
class ExplainedHit:
    """A hit with its terms, and the places in title and text of those that brought something."""

    hit: Hit
    title_spans: tuple[TermSpan, ...]
    text_spans: tuple[TermSpan, ...]

    @property
    def terms(self) -> tuple[TermContribution, ...]:
        """The hit's terms, the largest contribution first."""
        return self.hit.terms or ()

    def words(self) -> dict[str, str]:
        """Return the first word of title or text that holds each term which is a stem or a piece."""
        found: dict[str, str] = {}
        for text, spans in ((self.hit.title, self.title_spans), (self.hit.text, self.text_spans)):
            for span in spans:
                if span.term not in found:
                    found[span.term] = word_around(text, span)
        return {term: word for term, word in found.items() if word.casefold() != term.casefold()}


@dataclass(frozen=True, slots=True)
class ExplainedSearch:
    """A search, its hits and how they came about.

    terms: of the query, the heaviest first. unknown: terms that are in the query, but not in the index. unit: the score
    of one point. total, facets: of all matches, None and empty unless asked for. missing: shards of a set that didn't
    answer.
    """

    query: str
    terms: tuple[QueryTerm, ...]
    unknown: tuple[str, ...]
    hits: tuple[ExplainedHit, ...]
    unit: float
    scale: float
    encoder: str
    engine: EngineFacts
    total: int | None = None
    facets: Mapping[str, tuple[FacetValue, ...]] = field(default_factory=dict)
    missing: tuple[MissingShard, ...] = ()


def explain_hits(
    search: SparseSearch, query: str | None, found: Found, hits: Sequence[Hit], *, documents_s: float = 0.0
) -> ExplainedSearch:
    """Explain the hits of a search.

    query: its text; None for a query that came encoded, whose terms all count as its own. found: ranking of the hits.
    documents_s: seconds that reading the documents took.
    """
    ranking, vector, seconds = found.ranking, found.vector, found.seconds
    index = search.index
    term_ids, weights = vector
    integers, factor = integer_weights(weights)
    unit = index.manifest.scale / factor
    impacts = search.impacts_at(term_ids, ranking.positions)
    names = [index.vocabulary.term(int(term_id)) for term_id in term_ids]
    finder = search.term_finder
    text = "" if query is None else query[:SEARCHED_CHARACTERS]
    in_query = names if query is None else list(dict.fromkeys(span.term for span in finder.find(text)))
    literal = frozenset(in_query)
    explained = [
        _explained(hit, finder, names, weights, integers, impacts[:, column], unit, literal)
        for column, hit in enumerate(hits)
    ]
    query_terms = [QueryTerm(name, float(w), name in literal) for name, w in zip(names, weights, strict=True)]
    n_superblocks = search.n_superblocks
    facts = EngineFacts(
        n_docs=len(index),
        n_segments=len(index.manifest.segments),
        traversals=ranking.traversals,
        n_terms=len(term_ids),
        n_postings=ranking.n_postings,
        n_superblocks=n_superblocks,
        n_bounded=ranking.n_bounded,
        n_scored=min(ranking.n_scored, n_superblocks),  # it counts whole pages, of which the last may not be
        encode_us=seconds.encode * 1e6,
        feedback_us=seconds.feedback * 1e6,
        search_us=seconds.search * 1e6,
        documents_us=documents_s * 1e6,
        rerank_us=seconds.rerank * 1e6,
    )
    return ExplainedSearch(
        query=query or "",
        terms=tuple(sorted(query_terms, key=lambda term: (-term.weight, term.term))),
        unknown=_unknown(in_query, index),
        hits=tuple(explained),
        unit=unit,
        scale=index.manifest.scale,
        encoder=str(index.manifest.encoder.get("name", index.manifest.encoder["kind"])),
        engine=facts,
        total=found.total,
        facets=found.facets,
        missing=search.missing,
    )


def word_around(text: str, span: TermSpan) -> str:
    """Return the word that a span is a piece of, or the span itself."""
    before = _WORD_END.search(text[max(0, span.start - LONGEST_WORD) : span.start])
    after = _WORD_START.match(text[span.end : span.end + LONGEST_WORD])
    head, tail = before.group() if before else "", after.group() if after else ""
    return head + text[span.start : span.end] + tail


def spans_of(spans: Iterable[Placed], points: Mapping[str, int]) -> tuple[TermSpan, ...]:
    """Return, in order and without overlaps, the spans of terms that have points; of one place, the term with most."""
    best: list[Placed] = []
    last, most = -1, 0
    for span in sorted(span for span in spans if span[2] in points):
        start, end, term = span
        if start >= last:
            best.append(span)
        elif points[term] > most:
            best[-1] = span
        else:
            continue
        last, most = end, points[term]
    return tuple(TermSpan(*span) for span in best)


def _unknown(in_query: Sequence[str], index: StoredIndex) -> tuple[str, ...]:
    """Return which terms the index doesn't hold, a word by itself and not by the name of its term."""
    lacking = (term for term in in_query if index.vocabulary.lookup(term) is None)
    words = (term.removeprefix(MARK) if is_word_term(term) else term for term in lacking)
    return tuple(dict.fromkeys(word for word in words if any(character.isalnum() for character in word)))


def _explained(
    hit: Hit,
    finder: TermFinder,
    names: Sequence[str],
    weights: npt.NDArray[np.float32],
    integers: npt.NDArray[np.uint32],
    impacts: npt.NDArray[np.uint8],
    unit: float,
    in_query: frozenset[str],
) -> ExplainedHit:
    points = {names[i]: int(integers[i]) * int(impacts[i]) for i in np.flatnonzero(impacts).tolist() if integers[i]}
    in_title = finder.find_some(hit.title[:SEARCHED_CHARACTERS], points)
    in_text = finder.find_some(hit.text[:SEARCHED_CHARACTERS], points)
    standing = {term for some in (in_title, in_text) for *_, term in some}
    terms = [
        TermContribution(
            names[i],
            float(weights[i]),
            int(impacts[i]),
            points[names[i]],
            points[names[i]] * unit,
            names[i] in standing,
            names[i] in in_query,
        )
        for i in range(len(names))
        if names[i] in points
    ]
    terms.sort(key=lambda term: (-term.points, term.term))
    return ExplainedHit(replace(hit, terms=tuple(terms)), spans_of(in_title, points), spans_of(in_text, points))
