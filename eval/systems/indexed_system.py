"""Systems that search an index of the dataset: by its terms, or as a hybrid, with feedback, approximately, filtered."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.reports.results import Efficiency, Latency
from lsr.eval.systems.costs import WARM_UP_QUERIES, index_costs, single_rows, timed
from lsr.eval.systems.system import OUR_TIES, Recent, SystemRun
from lsr.indexer.storage.manifest import Manifest
from lsr.query.feedback import expand_all
from lsr.query.hybrid.search import LEAST_SPARSE, with_dense
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher
from lsr.query.stages import encode_typed, method_of
from lsr.types import SparseBatch


@dataclass(frozen=True, slots=True)
class Prepared:
    """A searcher of a dataset's documents, and the dataset's queries as it takes them; row i is the i-th query."""

    searcher: Searcher
    queries: SparseBatch
    query_terms: float
    """Mean active terms a query, including those that the index doesn't have."""
    texts: Sequence[str] | None = None
    """The queries' texts; None for queries that came encoded."""
    dense: npt.NDArray[np.float32] | None = None
    """float32, (n_queries, dimension): dense vectors of the queries that were made with the documents' encoder."""
    encode: Latency | None = None
    index_s: float | None = None


class IndexedSystem(ABC):
    """A system that searches an index by terms. Subclasses say which index, and how queries are encoded for it."""

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._name = name
        self.threads = threads
        self._prepared: Recent[Prepared] = Recent()
        self._runs: Recent[SystemRun] = Recent()

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return self._name

    @abstractmethod
    def _prepare(self, dataset: Dataset) -> Prepared:
        """Open or make the index, and encode the queries."""

    def prepare(self, dataset: Dataset) -> Prepared:
        """Return the index and the queries; those of the last datasets are kept."""
        fresh = False

        def make() -> Prepared:
            nonlocal fresh
            fresh = True
            return self._prepare(dataset)

        prepared = self._prepared.get(dataset, make)
        return prepared if fresh else replace(prepared, index_s=None)

    def forget(self) -> None:
        """Close what is kept of datasets: the index is to be opened again."""
        self._prepared.forget()

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset as the searcher does by default; measure sizes and times."""
        return self._runs.get(dataset, lambda: search(self.prepare(dataset), dataset, k, threads=self.threads), key=k)


class SearchedSystem:
    """An indexed system that is searched with other options.

    name: default, that of the system. measured: whether times are measured, by searching the first 1,000 queries
    again one by one (default: yes).
    """

    def __init__(
        self, system: IndexedSystem, options: SearchOptions, *, name: str | None = None, measured: bool = True
    ) -> None:
        self._system = system
        self._options = options
        self._name = name or system.name
        self._measured = measured
        self._runs: Recent[SystemRun] = Recent()

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return self._name

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset with the options."""

        def make() -> SystemRun:
            prepared = self._system.prepare(dataset)
            return search(prepared, dataset, k, self._options, threads=self._system.threads, measured=self._measured)

        return self._runs.get(dataset, make, key=k)


def search(
    prepared: Prepared,
    dataset: Dataset,
    k: int,
    options: SearchOptions | None = None,
    *,
    threads: int = 1,
    measured: bool = True,
) -> SystemRun:
    """Search a dataset's queries, all together on `threads`, and the first 1,000 again one by one on one thread.

    options: default, those of the searcher. Raises UsageError for options that leave no ranking by score.
    """
    searcher = prepared.searcher
    chosen = (options or searcher.options).replace(k=k, threads=threads)
    if chosen.sort is not None or chosen.offset:
        raise UsageError("an evaluation measures the best results by score: leave out sort and offset")
    queries = _queries(searcher, prepared, chosen)
    alone = chosen.replace(threads=1)
    singles = [_one(queries, row, i) for i, row in enumerate(single_rows(queries.sparse))] if measured else []
    for single in singles[:WARM_UP_QUERIES]:
        list(searcher.rank(single, alone))
    began = time.perf_counter()
    rankings = [
        Ranking(query_id, searcher.doc_ids(found), found.scores)
        for query_id, found in zip(dataset.queries, searcher.rank(queries, chosen), strict=True)
    ]
    elapsed = time.perf_counter() - began
    costs = None
    if measured:
        latency = timed([partial(_answer, searcher, single, alone) for single in singles])
        qps = len(queries) / elapsed if elapsed > 0 else None
        costs = _costs(prepared, chosen, threads, latency, qps)
    return SystemRun(
        run=run_of(rankings),
        description=dict(searcher.index.manifest.encoder)
        | of_documents(searcher.index.manifest)
        | _described(searcher, chosen),
        costs=costs,
        minimum=LEAST_SPARSE if chosen.hybrid_search is None else None,
        ties=OUR_TIES,
        approximate=None if chosen.approximate is None else str(chosen.approximate),
    )


def _queries(searcher: Searcher, prepared: Prepared, options: SearchOptions) -> Queries:
    """Return the queries as the legs of a search take them, with their operators unless they are `plain`."""
    if options.plain is False:
        if prepared.texts is None:
            raise UsageError("the queries came encoded, so that no operators can be read in them: leave out --no-plain")
        return encode_typed(searcher, prepared.texts, options)
    hybrid = options.hybrid_search
    if hybrid is None or not hybrid.needs_dense:
        return Queries(prepared.queries, None, prepared.texts)
    if prepared.dense is not None:
        return with_dense(searcher, prepared.queries, prepared.dense, prepared.texts, hybrid=hybrid)
    if prepared.texts is None:
        raise UsageError("hybrid needs dense vectors of the queries, but they came encoded as sparse ones")
    return method_of(options).encode(searcher, prepared.texts)


def _one(queries: Queries, sparse: SparseBatch, number: int) -> Queries:
    one = slice(number, number + 1)
    dense = None if queries.dense is None else queries.dense[one]
    return Queries(
        sparse,
        dense,
        None if queries.texts is None else queries.texts[one],
        None if queries.conditions is None else queries.conditions[one],
    )


def _answer(searcher: Searcher, queries: Queries, options: SearchOptions) -> None:
    for found in searcher.rank(queries, options):
        searcher.doc_ids(found)


def _costs(
    prepared: Prepared, options: SearchOptions, threads: int, latency: Latency | None, qps: float | None
) -> Efficiency:
    searcher, queries, query_terms = prepared.searcher, prepared.queries, prepared.query_terms
    if options.feedback is not None:
        queries = expand_all(searcher, queries, options.feedback)
        query_terms = queries.nnz / max(1, len(queries))
    costs = index_costs(
        searcher.index, queries, query_terms=query_terms, threads=threads, index_s=prepared.index_s,
        encode=prepared.encode, search=latency, qps=qps,
    )  # fmt: skip
    # Multiplications of sparse vectors say little where other vectors or models score, too.
    return costs if options.hybrid_search is None else replace(costs, flops=None)


def of_documents(manifest: Manifest) -> dict[str, Any]:
    """Return the description of what became of documents before they were indexed: cut into passages, pruned."""
    told: dict[str, Any] = {} if manifest.passages is None else {"passages": dict(manifest.passages)}
    if manifest.pruning is not None:
        told["pruning"] = manifest.pruning.to_json()
    return told


def _described(searcher: Searcher, options: SearchOptions) -> dict[str, Any]:
    """Return the description of what differs from a plain search. Approximation is part of the protocol."""
    told: dict[str, Any] = {}
    hybrid = options.hybrid_search
    if hybrid is not None:
        hybrid = hybrid.settled(searcher.index.manifest.tuning)
        told["hybrid"] = {
            "mode": hybrid.mode,
            "method": hybrid.method.name,
            "weights": hybrid.method.weights,
            "candidates": hybrid.depth,
            "reranker": None if hybrid.reranker is None else hybrid.reranker.name,
            "neighbours": None if hybrid.neighbours is None else asdict(hybrid.neighbours),
            "word_weight": hybrid.word_weight,
        }
    if options.feedback is not None:
        told["feedback"] = asdict(options.feedback)
    if options.where is not None:
        told["where"] = str(options.where)
    if options.min_score is not None:
        told["min_score"] = options.min_score
    return told
