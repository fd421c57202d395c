"""Why a document was found: what each term of the query brought to its score, and where the term stands."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.words import MARK, is_word_term
from lsr.kernels.geometry import SUPERBLOCK
from lsr.query.engine import Ranking
from lsr.query.feedback import Feedback, SparseVector, expand
from lsr.query.impacts import doc_ords_at, impacts_at
from lsr.query.integers import integer_weights
from lsr.query.words import TermFinder, TermSpan
from lsr.types import Hit, TermContribution

if TYPE_CHECKING:
    from lsr.indexer.index import Index
    from lsr.query.filters import DocumentFilter
    from lsr.query.hybrid.settings import Hybrid
    from lsr.query.searcher import Searcher

SEARCHED_CHARACTERS = 200_000
"""Of a text that are looked through for terms."""
LONGEST_WORD = 40
_WORD_END, _WORD_START = re.compile(r"[^\W_]*\Z"), re.compile(r"[^\W_]*")


class Seconds(NamedTuple):
    """What the steps of a search took, in seconds."""

    encode: float
    feedback: float
    search: float
    documents: float
    rerank: float = 0.0


UNTIMED = Seconds(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of the query's vector. in_query: it stands in the query; else the encoder expanded to it."""

    term: str
    weight: float
    in_query: bool


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine did for a query.

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
        """Return, of each term that is a stem or a piece of a word, the first word of title or text that holds it."""
        found: dict[str, str] = {}
        for text, spans in ((self.hit.title, self.title_spans), (self.hit.text, self.text_spans)):
            for span in spans:
                if span.term not in found:
                    found[span.term] = word_around(text, span)
        return {term: word for term, word in found.items() if word.casefold() != term.casefold()}


@dataclass(frozen=True, slots=True)
class ExplainedSearch:
    """A search, its hits and how they came about.

    terms: of the query, the heaviest first. unknown: terms that stand in the query, but not in the index.
    unit: the score of one point.
    """

    query: str
    terms: tuple[QueryTerm, ...]
    unknown: tuple[str, ...]
    hits: tuple[ExplainedHit, ...]
    unit: float
    scale: float
    encoder: str
    engine: EngineFacts


def explain(
    searcher: Searcher,
    query: str,
    k: int = 10,
    *,
    once: bool = False,
    allowed: DocumentFilter | None = None,
    feedback: Feedback | None = None,
    hybrid: Hybrid | None = None,
) -> ExplainedSearch:
    """Search, and explain every hit. The arguments are those of `Searcher.search`, and so are the hits."""
    clock = [time.perf_counter()]
    row = None
    if hybrid is not None:
        from lsr.query.hybrid.search import encode_queries

        row = encode_queries(searcher, [query], hybrid).row(0)
    vector = searcher.encode([query]).row(0) if row is None else (row.term_ids, row.weights)
    clock.append(time.perf_counter())
    if feedback is not None:
        vector = expand(searcher, vector, feedback, once=once, allowed=allowed)
    clock.append(time.perf_counter())
    rerank_s = 0.0
    if hybrid is None or row is None:
        ranking = searcher.rank_vector(vector, k, once=once, allowed=allowed)
    else:
        from lsr.query.hybrid.search import rank_hybrid

        row = row._replace(term_ids=vector[0], weights=vector[1])
        found = rank_hybrid(searcher, row, k, hybrid, once=once, allowed=allowed)
        ranking, rerank_s = found.ranking, found.other_s + found.fusion_s
    clock.append(time.perf_counter())
    hits = searcher.hits(ranking)
    clock.append(time.perf_counter())
    encode_s, feedback_s, search_s, documents_s = (after - before for before, after in pairwise(clock))
    feedback_s = 0.0 if feedback is None else feedback_s
    seconds = Seconds(encode_s, feedback_s, search_s - rerank_s, documents_s, rerank_s)
    return explain_hits(searcher, query, vector, ranking, hits, seconds)


def explain_hits(
    searcher: Searcher,
    query: str | None,
    vector: SparseVector,
    ranking: Ranking,
    hits: Sequence[Hit],
    seconds: Seconds = UNTIMED,
) -> ExplainedSearch:
    """Explain what a search for a query found.

    query: its text; None for a query that came encoded, which then holds all its terms. vector: what was searched
    with. ranking, hits: what was found. seconds: what all that took.
    """
    index = searcher.index
    term_ids, weights = vector
    integers, factor = integer_weights(weights)
    unit = index.manifest.scale / factor
    impacts = _impacts(searcher, term_ids, ranking.positions)
    names = [index.vocabulary.term(int(term_id)) for term_id in term_ids]
    finder = searcher.term_finder
    text = "" if query is None else query[:SEARCHED_CHARACTERS]
    in_query = names if query is None else list(dict.fromkeys(span.term for span in finder.find(text)))
    literal = frozenset(in_query)
    explained = [
        _explained(hit, finder, names, weights, integers, impacts[:, column], unit, literal)
        for column, hit in enumerate(hits)
    ]
    query_terms = [QueryTerm(name, float(w), name in literal) for name, w in zip(names, weights, strict=True)]
    n_superblocks = sum(-(-segment.n_docs // SUPERBLOCK) for segment in index.segments)
    facts = EngineFacts(
        n_docs=len(index),
        n_segments=len(index.segments),
        traversals=ranking.traversals,
        n_terms=len(term_ids),
        n_postings=ranking.n_postings,
        n_superblocks=n_superblocks,
        n_bounded=ranking.n_bounded,
        n_scored=min(ranking.n_scored, n_superblocks),  # it counts whole pages, of which the last may not be
        encode_us=seconds.encode * 1e6,
        feedback_us=seconds.feedback * 1e6,
        search_us=seconds.search * 1e6,
        documents_us=seconds.documents * 1e6,
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
    )


def word_around(text: str, span: TermSpan) -> str:
    """Return the word that a span is a piece of, or the span itself."""
    before = _WORD_END.search(text[max(0, span.start - LONGEST_WORD) : span.start])
    after = _WORD_START.match(text[span.end : span.end + LONGEST_WORD])
    head, tail = before.group() if before else "", after.group() if after else ""
    return head + text[span.start : span.end] + tail


def spans_of(spans: Iterable[TermSpan], points: Mapping[str, int]) -> tuple[TermSpan, ...]:
    """Return, in order and without overlaps, the spans of terms that have points; of one place, the term with most."""
    best: list[TermSpan] = []
    for span in sorted(span for span in spans if span.term in points):
        if best and span.start < best[-1].end:
            if points[span.term] > points[best[-1].term]:
                best[-1] = span
        else:
            best.append(span)
    return tuple(best)


def _unknown(in_query: Sequence[str], index: Index) -> tuple[str, ...]:
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
    in_title, in_text = finder.find(hit.title[:SEARCHED_CHARACTERS]), finder.find(hit.text[:SEARCHED_CHARACTERS])
    standing = {span.term for span in (*in_title, *in_text)}
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


def _impacts(
    searcher: Searcher, term_ids: npt.NDArray[np.int32], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Return the impacts, uint8, (n_terms, n_positions)."""
    impacts = np.zeros((len(term_ids), len(positions)), np.uint8)
    for segment, places, rows in searcher.by_segment(positions):
        local, at = segment.local_terms(term_ids)
        impacts[np.ix_(at, places)] = impacts_at(segment, local, doc_ords_at(segment, rows))
    return impacts
