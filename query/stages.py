"""The stages of a search in one line: what happens to a query from its text to its ranking.

    [operators] → encode → [feedback] → sparse leg [+ dense leg] → fuse → [smooth] → [rerank] → page → hits [→ explain]

`Method` is chosen once a search: by terms alone, hybrid (both legs, fusion, smoothing or reranking), or sorted by a
field. `lsr.query.searcher` makes hits of rankings, and `lsr.query.explain` explains them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from lsr.encoders.threads import limited_threads
from lsr.query.deadline import check_deadline
from lsr.query.engine.batches import TASK, ranked
from lsr.query.engine.engine import Ranking
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries, Query
from lsr.query.sparse_search import Scope, SparseSearch, SparseVector
from lsr.query.typed_query import parse_query
from lsr.query.typed_ranking import rank_typed
from lsr.types import FacetValue

if TYPE_CHECKING:
    from lsr.query.hybrid.settings import Hybrid
    from lsr.query.matches import Matches


class Seconds(NamedTuple):
    """Duration of each stage, in seconds. rerank: second leg and fusion."""

    encode: float = 0.0
    feedback: float = 0.0
    search: float = 0.0
    rerank: float = 0.0


UNTIMED = Seconds()


@dataclass(frozen=True, slots=True)
class Found:
    """The ranking of one query, cut to the page that is wanted, and facts of the search.

    vector: the sparse query that was searched with, after feedback. first: rank before the first of the page.
    total, facets: of all matches, None and empty unless asked for.
    """

    ranking: Ranking
    vector: SparseVector
    seconds: Seconds = UNTIMED
    first: int = 0
    total: int | None = None
    facets: Mapping[str, tuple[FacetValue, ...]] = field(default_factory=dict)


class Ranked(NamedTuple):
    """A ranking of a method. other_s: seconds of a second leg and the fusion. matches: where all were found."""

    ranking: Ranking
    other_s: float = 0.0
    matches: Matches | None = None


class Method(Protocol):
    """A way to encode and to rank queries. at_once: queries that a thread takes at a time."""

    @property
    def at_once(self) -> int: ...

    def encode(self, search: SparseSearch, texts: Sequence[str]) -> Queries:
        """Return texts as the method's legs take them."""
        ...

    def rank(self, search: SparseSearch, query: Query, k: int, scope: Scope) -> Ranked:
        """Return the k best documents."""
        ...

    def prepare(self, search: SparseSearch, queries: Sequence[Query], k: int, scope: Scope) -> Sequence[Query]:
        """Return queries with what is found faster for all of them at once."""
        ...


class ByTerms:
    """Ranking by the sparse vectors alone."""

    at_once = TASK

    def encode(self, search: SparseSearch, texts: Sequence[str]) -> Queries:
        """Return the sparse vectors of texts."""
        return Queries(search.encode(texts), None, texts)

    def rank(self, search: SparseSearch, query: Query, k: int, scope: Scope) -> Ranked:
        """Return the k best documents by their sparse vectors."""
        return Ranked(search.rank_vector((query.term_ids, query.weights), k, scope))

    def prepare(self, search: SparseSearch, queries: Sequence[Query], k: int, scope: Scope) -> Sequence[Query]:
        """Return the queries as they are."""
        return queries


@dataclass(frozen=True, slots=True)
class ByBothLegs:
    """Ranking by the sparse leg and a second one, fused."""

    hybrid: Hybrid

    @property
    def at_once(self) -> int:
        """More where they share one reading of all dense vectors."""
        from lsr.query.hybrid.search import at_once

        return at_once(self.hybrid)

    def encode(self, search: SparseSearch, texts: Sequence[str]) -> Queries:
        """Return the sparse vectors of texts, and the dense ones where the second leg takes them."""
        from lsr.query.hybrid.search import encode_queries

        return encode_queries(search, texts, self.hybrid)

    def rank(self, search: SparseSearch, query: Query, k: int, scope: Scope) -> Ranked:
        """Return the k best documents by fused scores."""
        from lsr.query.hybrid.search import rank_hybrid

        found = rank_hybrid(search, query, k, self.hybrid, scope)
        return Ranked(found.ranking, found.other_s + found.fusion_s)

    def prepare(self, search: SparseSearch, queries: Sequence[Query], k: int, scope: Scope) -> Sequence[Query]:
        """Return queries with the nearest documents by dense vectors, where all vectors are compared."""
        from lsr.query.hybrid.search import with_nearest

        return with_nearest(search, queries, k, self.hybrid, scope)


@dataclass(frozen=True, slots=True)
class ByField(ByTerms):
    """All matches, sorted by a field. min_score: leave out those with a lower score."""

    sort: str
    min_score: float | None

    def rank(self, search: SparseSearch, query: Query, k: int, scope: Scope) -> Ranked:
        """Return the first k of all documents that hold a term of the query."""
        from lsr.query.matches import find_matches

        matches = find_matches(search, (query.term_ids, query.weights), scope)
        return Ranked(matches.sorted_by(self.sort, k, self.min_score), matches=matches)


BY_TERMS = ByTerms()


def method_of(options: SearchOptions) -> Method:
    """Return the method that options ask for."""
    if options.hybrid_search is not None:
        return ByBothLegs(options.hybrid_search)
    return BY_TERMS if options.sort is None else ByField(options.sort, options.min_score)


def encode_typed(search: SparseSearch, texts: Sequence[str], options: SearchOptions) -> Queries:
    """Return typed queries as the legs take them; their operators become conditions, unless they are `plain`.

    Raises UsageError for a query that only excludes, and what encoding raises.
    """
    with _held_to(options.threads):
        method = method_of(options)
        if options.plain:
            return method.encode(search, texts)
        typed = [parse_query(text) for text in texts]
        if all(query.conditions is None for query in typed):
            return method.encode(search, texts)
        queries = method.encode(search, [query.text for query in typed])
    return replace(queries, conditions=[query.conditions for query in typed])


def scope_of(search: SparseSearch, options: SearchOptions) -> Scope:
    """Return the documents that options let a search find. Raises FilterError, UsageError for a foreign filter."""
    where = options.where
    if isinstance(where, str):
        where = search.filter(where)
    elif where is not None:
        where.check(search.index)
    return Scope(where, options.approximate)


def narrowed(search: SparseSearch, scope: Scope, query: Query) -> Scope:
    """Return the scope of one query: where it has conditions, the documents that meet them."""
    if query.conditions is None:
        return scope
    meeting = search.meeting(query.conditions)
    allowed = meeting if scope.allowed is None else scope.allowed & meeting
    return scope._replace(allowed=allowed, finds_all=bool(query.conditions.required))


def _held_to(threads: int | None) -> AbstractContextManager[None]:
    """Let models that encode queries or read candidates take no more threads than the search. None: as before."""
    return nullcontext() if threads is None else limited_threads(threads)


def search_text(search: SparseSearch, text: str, options: SearchOptions) -> Found:
    """Run all stages for one text."""
    check_deadline("filter")
    scope, method = scope_of(search, options), method_of(options)
    check_deadline("encode")
    began = time.perf_counter()
    query = encode_typed(search, [text], options).row(0)
    seconds = time.perf_counter() - began
    with _held_to(options.threads):
        return _rank(search, method, query, options, scope, seconds)


def search_queries(search: SparseSearch, queries: Queries, options: SearchOptions) -> Iterator[Found]:
    """Run the stages after encoding for many queries, on `options.threads`, in order, as they are asked for."""
    scope, method = scope_of(search, options), method_of(options)
    plain = method is BY_TERMS and options.feedback is None and not options.counts_matches and not queries.conditions

    def find(numbers: range) -> list[Found]:
        if not plain:
            rows: Sequence[Query] = [queries.row(number) for number in numbers]
            with _held_to(options.threads):
                if not queries.conditions:
                    rows = method.prepare(search, rows, options.depth, scope)
                return [_rank(search, method, row, options, scope) for row in rows]
        vectors = [queries.sparse.row(number) for number in numbers]
        rankings = search.rank_vectors(vectors, options.depth, scope)
        return [
            Found(_page(ranking, options), vector, UNTIMED, options.offset)
            for ranking, vector in zip(rankings, vectors, strict=True)
        ]

    return ranked(find, len(queries), options.threads, at_once=search.at_once if plain else method.at_once)


def _rank(
    search: SparseSearch, method: Method, query: Query, options: SearchOptions, scope: Scope, encode_s: float = 0.0
) -> Found:
    began = time.perf_counter()
    if query.conditions is not None and method is BY_TERMS and options.feedback is None and not options.counts_matches:
        ranking = rank_typed(search, query, options.depth, scope)
        if ranking is not None:
            seconds = Seconds(encode_s, 0.0, time.perf_counter() - began)
            return Found(_page(ranking, options), (query.term_ids, query.weights), seconds, options.offset)
    scope = narrowed(search, scope, query)
    if options.feedback is not None:
        check_deadline("feedback")
        from lsr.query.feedback import expand

        term_ids, weights = expand(search, (query.term_ids, query.weights), options.feedback, scope)
        query = query._replace(term_ids=term_ids, weights=weights)
    expanded = time.perf_counter()
    check_deadline("search")
    ranking, other_s, matches = method.rank(search, query, options.depth, scope)
    if scope.finds_all and matches is None:
        ranking = with_unscored(search, ranking, options.depth, scope)
    done = time.perf_counter()
    feedback_s = 0.0 if options.feedback is None else expanded - began
    seconds = Seconds(encode_s, feedback_s, done - expanded - other_s, other_s)
    vector = query.term_ids, query.weights
    found = Found(_page(ranking, options), vector, seconds, options.offset)
    return _counted(search, found, options, scope, matches) if options.counts_matches else found


def with_unscored(search: SparseSearch, ranking: Ranking, k: int, scope: Scope) -> Ranking:
    """Return a ranking, filled up to k with allowed documents that it lacks, in the order of addition."""
    if len(ranking) >= k or scope.allowed is None:
        return ranking
    return ranking.extended(search.unscored(ranking.positions, k - len(ranking), scope))


def _page(ranking: Ranking, options: SearchOptions) -> Ranking:
    """Return the part of a ranking that is wanted: above the least score, after the offset."""
    if options.min_score is not None:
        ranking = ranking.at(np.flatnonzero(ranking.scores >= options.min_score))
    return ranking if options.offset == 0 else ranking.at(np.arange(options.offset, len(ranking)))


def _counted(
    search: SparseSearch, found: Found, options: SearchOptions, scope: Scope, matches: Matches | None
) -> Found:
    check_deadline("counts")
    if matches is None:
        from lsr.query.matches import find_matches

        matches = find_matches(search, found.vector, scope)
    facets = {name: matches.facet(name) for name in options.facets}
    return replace(found, total=len(matches) if options.total else None, facets=facets)
