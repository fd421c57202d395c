"""Searching an index: texts or sparse vectors in, results out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder
from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.passages import passages_of, whole
from lsr.io.fork_safe import cached_property
from lsr.query.engine.engine import Ranking
from lsr.query.hits import hits_of
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries
from lsr.query.query_encoders import QueryEncoders
from lsr.query.shards.losses import refuse_missing
from lsr.query.sparse_search import SparseSearch
from lsr.query.stages import Found, encode_typed, search_queries, search_text
from lsr.types import Hit, Results, SparseBatch

if TYPE_CHECKING:
    from lsr.indexer.sources.staleness import Staleness
    from lsr.query.explain.explain import ExplainedSearch

DEFAULTS = SearchOptions()
T = TypeVar("T")


class Searcher(SparseSearch):
    """Search of one generation of an index by texts or vectors. Safe to use from many threads, and after a fork.

    encoder: the encoder of the index where it is loaded already, or the folder of its model now; by default the index's
    own, where it was. dense_encoder: the same for its dense encoder. options: of searches that don't say otherwise.
    once: this process serves no other query, so the compiled kernels are not loaded for it. Raises IndexMissingError,
    IndexDamagedError, EncoderError for another encoder than the index's, and UsageError for a value of a wrong type.
    """

    def __init__(
        self,
        index: StoredIndex | str | Path,
        *,
        encoder: Encoder | str | Path | None = None,
        dense_encoder: DenseEncoder | str | Path | None = None,
        options: SearchOptions = DEFAULTS,
        once: bool = False,
        encoders: QueryEncoders | None = None,
    ) -> None:
        if not isinstance(index, StoredIndex | str | Path):
            raise UsageError(f"the index is {index!r:.60}; it must be the path of one, or an open one")
        opened = index if isinstance(index, StoredIndex) else StoredIndex.open(index)
        if encoders is None:
            encoders = QueryEncoders(opened, encoder=encoder, dense_encoder=dense_encoder, once=once)
        super().__init__(opened, encoders, once=once)
        self.options = _checked(options)

    def refresh(self) -> Searcher:
        """Return a searcher of the index's newest generation: itself, if there is none newer.

        This one stays in its generation, so that rankings and documents always fit each other. Loaded models and
        arrays that both share stay loaded. Raises what opening raises.
        """
        index = self.index.refresh()
        if index is self.index:
            return self
        return Searcher(index, encoders=self.encoders.refreshed(index), options=self.options, once=self.once)

    def close(self) -> None:
        """Let writers remove the files of this generation; see `StoredIndex.close`."""
        self.index.close()

    @overload
    def search(self, query: str, options: SearchOptions | None = None, **short: Any) -> Results: ...

    @overload
    def search(self, query: Iterable[str], options: SearchOptions | None = None, **short: Any) -> list[Results]: ...

    def search(
        self, query: str | Iterable[str], options: SearchOptions | None = None, **short: Any
    ) -> Results | list[Results]:
        """Return the results of a text, or a list of results for several texts.

        options: default, those of the searcher. short: single options by name, in place of theirs, as `k=5`,
        `where="year >= 2020"`, `hybrid="union"`; `SearchOptions` has all. A text without a known term has no results.
        Raises UsageError for a query that is no text and for options outside their range, FilterError, and what
        `encode` raises.
        """
        chosen = self._options(options, short)
        if not isinstance(query, str):
            texts = _texts(query)
            return self.tolerant(chosen, lambda searcher: searcher._search_all(texts, chosen))
        began = time.perf_counter()

        def one(searcher: Searcher) -> Results:
            return searcher.results_of(search_text(searcher, query, chosen), query, chosen, began=began)

        return self.tolerant(chosen, one)

    def tolerant(self, options: SearchOptions, do: Callable[[Searcher], T]) -> T:
        """Return what `do` makes of this searcher; of a set, where options are `partial`, of one without lost shards.

        Raises ShardLostError for a set that was opened without some of its shards, unless options are `partial`.
        """
        if not options.partial:
            refuse_missing(self.index.path, self.index.missing)
        return do(self)

    def _search_all(self, texts: Sequence[str], options: SearchOptions) -> list[Results]:
        if not texts:
            return []
        began = time.perf_counter()
        queries = encode_typed(self, texts, options)
        found = search_queries(self, queries, options)
        results = [self.results_of(one, text, options) for text, one in zip(texts, found, strict=True)]
        took_us = round((time.perf_counter() - began) / len(texts) * 1e6)
        return [replace(one, took_us=took_us) for one in results]

    def search_vectors(
        self, queries: SparseBatch | Queries, options: SearchOptions | None = None, **short: Any
    ) -> list[Results]:
        """Return the results of encoded queries, in order. options, short: as for `search`.

        Raises UsageError for queries of another vocabulary, or without what a hybrid search needs.
        """
        chosen = self._options(options, short)
        began = time.perf_counter()

        def all_of(searcher: Searcher) -> list[Results]:
            return [searcher.results_of(found, None, chosen) for found in searcher._find(queries, chosen)]

        results = self.tolerant(chosen, all_of)
        took_us = round((time.perf_counter() - began) / max(1, len(results)) * 1e6)
        return [replace(one, took_us=took_us) for one in results]

    def explain(self, query: str, options: SearchOptions | None = None, **short: Any) -> ExplainedSearch:
        """Search as `search` does, and explain every hit: its terms, their places, and the work of the engine."""
        chosen = self._options(options, short)
        (query,) = _texts([query])

        def explained(searcher: Searcher) -> ExplainedSearch:
            return searcher.explained(search_text(searcher, query, chosen), query=query, options=chosen)

        return self.tolerant(chosen, explained)

    def explained(
        self,
        found: Found,
        *,
        query: str | None = None,
        query_id: str | None = None,
        options: SearchOptions | None = None,
    ) -> ExplainedSearch:
        """Explain what was found. query: its text; None where it came encoded."""
        began = time.perf_counter()
        chosen = options or self.options
        hits = self.hits(found.ranking, options=chosen, query_id=query_id)
        if chosen.locate:
            hits = self._located(hits, query)
        return self._explained(query, found, hits, time.perf_counter() - began)

    def find(
        self, queries: SparseBatch | Queries, options: SearchOptions | None = None, **short: Any
    ) -> Iterator[Found]:
        """Return what encoded queries find, one after another as they are asked for; no document is read.

        options, short: as for `search`; partial ones find all before the first is returned. Raises UsageError for
        queries of another vocabulary.
        """
        chosen = self._options(options, short)
        if chosen.partial:
            return iter(self.tolerant(chosen, lambda searcher: list(searcher._find(queries, chosen))))
        return self.tolerant(chosen, lambda searcher: searcher._find(queries, chosen))

    def find_here(self, queries: SparseBatch | Queries) -> Iterator[Found]:
        """Return what `find` does, within `tolerant`: lost shards are its error."""
        return self._find(queries, self.options)

    def rank_here(self, queries: SparseBatch | Queries) -> Iterator[Ranking]:
        """Return what `rank` does, within `tolerant`: lost shards are its error."""
        return (found.ranking for found in self.find_here(queries))

    def _find(self, queries: SparseBatch | Queries, options: SearchOptions) -> Iterator[Found]:
        if not isinstance(queries, SparseBatch | Queries):
            raise UsageError(f"the queries are {queries!r:.60}; they must be encoded: a SparseBatch, or Queries")
        encoded = Queries(queries) if isinstance(queries, SparseBatch) else queries
        n_terms = len(self.index.vocabulary)
        if encoded.sparse.vocab_size > n_terms:
            raise UsageError(
                f"the queries' vocabulary has {encoded.sparse.vocab_size:,} terms, the index's {n_terms:,}: encode the "
                "queries with the encoder of the index"
            )
        return search_queries(self, encoded, options)

    def rank(
        self, queries: SparseBatch | Queries, options: SearchOptions | None = None, **short: Any
    ) -> Iterator[Ranking]:
        """Return the rankings of encoded queries, as for a run. See `find`."""
        return (found.ranking for found in self.find(queries, options, **short))

    def results_of(
        self,
        found: Found,
        query: str | None,
        options: SearchOptions,
        *,
        query_id: str | None = None,
        began: float | None = None,
    ) -> Results:
        """Return results of what was found: its documents read, and explained if options ask for it.

        began: the start of the search, by `time.perf_counter`; the results' duration stays 0 without.
        """
        ranking = found.ranking
        hits = self.hits(ranking, options=options, query_id=query_id)
        if options.locate:
            hits = self._located(hits, query)
        if options.explain:
            hits = tuple(one.hit for one in self._explained(query, found, hits, 0.0).hits)
        return Results(
            hits,
            query,
            query_id,
            0 if began is None else round((time.perf_counter() - began) * 1e6),
            total=found.total,
            exact=ranking.is_exact and not self.missing,
            facets=found.facets,
            skipped=ranking.skipped,
            missing=self.missing,
        )

    def hits(
        self, ranking: Ranking, *, options: SearchOptions = DEFAULTS, query_id: str | None = None
    ) -> tuple[Hit, ...]:
        """Return the hits of a ranking, with titles, texts and fields. options: `offset` and `fields` count."""
        documents = self.documents_at(ranking.positions)
        fields = options.fields
        if fields is not None:
            self._check_fields(fields)
        found = hits_of(
            ranking,
            documents,
            first=options.offset,
            query_id=query_id,
            fields=fields,
            passages=self.owners is not None,
        )
        if self._staleness is None or not found:
            return found
        states = self._staleness.of([hit.doc_id for hit in found])
        if not any(states):
            return found
        return tuple(
            hit if state is None else replace(hit, stale=state) for hit, state in zip(found, states, strict=True)
        )

    def _located(self, hits: Sequence[Hit], query: str | None) -> tuple[Hit, ...]:
        """Return hits with their files, and the places there unless a file is another now."""
        if self._staleness is None:
            return tuple(hits)
        from lsr.query.explain.locate import NOWHERE, locate
        from lsr.query.explain.snippet import QueryWords

        words = QueryWords(query or "", self.index.manifest.encoder)
        located = []
        for hit, path in zip(hits, self._staleness.paths([hit.doc_id for hit in hits]), strict=True):
            place = NOWHERE
            if path is not None and hit.stale is None:
                place = locate(path, hit.text, words, before=self._text_before(hit) if path.endswith(".pdf") else "")
            located.append(replace(hit, path=path, line=place.line, page=place.page, cell=place.cell))
        return tuple(located)

    def file_names(self, hits: Sequence[Hit]) -> list[str | None]:
        """Return the names of hits' files in the index, which tell nothing of the folders above its sources."""
        if self._staleness is None:
            return [None] * len(hits)
        return self._staleness.names([hit.doc_id for hit in hits])

    def _text_before(self, hit: Hit) -> str:
        if hit.passage is None or hit.passage[0] == 0:
            return ""
        return whole(passages_of(self.index, hit.doc_id)).text[: hit.passage[0]]

    @cached_property
    def _staleness(self) -> Staleness | None:
        """The state of the files that documents came from; None for an index of no files."""
        part = self.index.manifest.sources
        if part is None or not part.files:
            return None
        from lsr.indexer.sources.staleness import Staleness

        return Staleness(self.index)

    def _explained(self, query: str | None, found: Found, hits: Sequence[Hit], documents_s: float) -> ExplainedSearch:
        from lsr.query.explain.explain import explain_hits

        return explain_hits(self, query, found, hits, documents_s=documents_s)

    def _options(self, options: SearchOptions | None, short: Mapping[str, Any]) -> SearchOptions:
        chosen = self.options if options is None else _checked(options)
        return chosen.replace(**short) if short else chosen

    @cached_property
    def _known_fields(self) -> frozenset[str] | None:
        from lsr.query.filters.columns import column_kinds, may_have_more

        return None if may_have_more(self.index) else frozenset(column_kinds(self.index))

    def _check_fields(self, fields: Sequence[str]) -> None:
        known = self._known_fields
        unknown = [] if known is None else [name for name in fields if name not in known]
        if unknown:
            from lsr.query.filters.columns import column_kinds, unknown_field

            raise UsageError(f"fields: {unknown_field(unknown[0], column_kinds(self.index))}")


def _checked(options: SearchOptions) -> SearchOptions:
    if not isinstance(options, SearchOptions):
        raise UsageError(
            f"the options are {options!r:.60}; they must be SearchOptions, or single options by name, as k=10"
        )
    return options


def _texts(queries: Any) -> list[str]:
    """Return queries as a list of texts. Raises UsageError for anything else."""
    if isinstance(queries, SparseBatch | Queries):
        raise UsageError("the queries are encoded already: search for them with search_vectors")
    if isinstance(queries, bytes | Mapping) or not isinstance(queries, Iterable):
        raise UsageError(f"the query is {queries!r:.60}; it must be a text, or a list of texts")
    texts = list(queries)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            where = "the query" if len(texts) == 1 else f"query {number} of the list"
            raise UsageError(f"{where} is {text!r:.60}; it must be a text")
    return texts
