"""Systems that search an index of the dataset: by its terms, or as a hybrid, with feedback, approximately, filtered."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.reports.results import Efficiency, Latency
from lsr.eval.systems.costs import WARM_UP_QUERIES, index_costs, single_rows, timed
from lsr.eval.systems.search_settings import SearchSettings
from lsr.eval.systems.system import OUR_TIES, Recent, SystemRun
from lsr.query.engine.engine import Ranking as Found
from lsr.query.feedback import expand_all
from lsr.query.hybrid.search import LEAST_SPARSE, encode_queries, with_dense
from lsr.query.hybrid.settings import Hybrid, HybridQueries
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch

PLAIN = SearchSettings()


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
        """Search all queries of the dataset by their terms, exactly; measure sizes and times."""
        return self._runs.get(dataset, lambda: search(self.prepare(dataset), dataset, k, threads=self.threads), key=k)


class SearchedSystem:
    """An indexed system that is searched in another way.

    name: default, that of the system. measured: whether times are measured, by searching the first 1,000 queries
    again one by one (default: yes).
    """

    def __init__(
        self, system: IndexedSystem, settings: SearchSettings, *, name: str | None = None, measured: bool = True
    ) -> None:
        self._system = system
        self._settings = settings
        self._name = name or system.name
        self._measured = measured
        self._runs: Recent[SystemRun] = Recent()

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return self._name

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset as the settings say."""

        def make() -> SystemRun:
            prepared = self._system.prepare(dataset)
            return search(prepared, dataset, k, self._settings, threads=self._system.threads, measured=self._measured)

        return self._runs.get(dataset, make, key=k)


def search(
    prepared: Prepared,
    dataset: Dataset,
    k: int,
    settings: SearchSettings = PLAIN,
    *,
    threads: int = 1,
    measured: bool = True,
) -> SystemRun:
    """Search a dataset's queries, all together on `threads`, and the first 1,000 again one by one on one thread."""
    searcher = prepared.searcher
    if settings.approximate is not None:
        searcher = Searcher(searcher.index, approximate=settings.approximate)
    ranked = partial(_ranked, searcher, k=k, settings=settings)
    queries = _queries(searcher, prepared, settings.hybrid)
    singles = [_one(queries, row, i) for i, row in enumerate(single_rows(queries.sparse))] if measured else []
    for single in singles[:WARM_UP_QUERIES]:
        list(ranked(single, threads=1))
    began = time.perf_counter()
    rankings = [
        Ranking(query_id, searcher.doc_ids(found), found.scores)
        for query_id, found in zip(dataset.queries, ranked(queries, threads=threads), strict=True)
    ]
    elapsed = time.perf_counter() - began
    run = run_of(rankings)
    costs = None
    if measured:
        latency = timed([partial(_answer, searcher, partial(ranked, single, threads=1)) for single in singles])
        qps = len(queries) / elapsed if elapsed > 0 else None
        costs = _costs(searcher, prepared, settings, threads, latency, qps)
    return SystemRun(
        run=run,
        description=dict(searcher.index.manifest.encoder) | settings.describe(),
        costs=costs,
        minimum=LEAST_SPARSE if settings.hybrid is None else None,
        ties=OUR_TIES,
        approximate=None if searcher.approximate is None else str(searcher.approximate),
    )


def _ranked(
    searcher: Searcher, queries: HybridQueries, *, k: int, settings: SearchSettings, threads: int
) -> Iterator[Found]:
    allowed = None if settings.where is None else searcher.filter(settings.where)
    if settings.hybrid is None:
        return searcher.rank(queries.sparse, k, threads=threads, allowed=allowed, feedback=settings.feedback)
    return searcher.rank_hybrid(
        queries, k, hybrid=settings.hybrid, threads=threads, allowed=allowed, feedback=settings.feedback
    )


def _queries(searcher: Searcher, prepared: Prepared, hybrid: Hybrid | None) -> HybridQueries:
    """Return the queries as the legs of a search take them."""
    if hybrid is None or not hybrid.needs_dense:
        return HybridQueries(prepared.queries, None, prepared.texts)
    if prepared.dense is None and prepared.texts is not None:
        return encode_queries(searcher, prepared.texts, hybrid)
    assert prepared.dense is not None, "queries that came encoded have no dense vectors"
    return with_dense(searcher, prepared.queries, prepared.dense, prepared.texts)


def _one(queries: HybridQueries, sparse: SparseBatch, number: int) -> HybridQueries:
    one = slice(number, number + 1)
    dense = None if queries.dense is None else queries.dense[one]
    return HybridQueries(sparse, dense, None if queries.texts is None else queries.texts[one])


def _answer(searcher: Searcher, ranked: Callable[[], Iterator[Found]]) -> None:
    for found in ranked():
        searcher.doc_ids(found)


def _costs(
    searcher: Searcher,
    prepared: Prepared,
    settings: SearchSettings,
    threads: int,
    latency: Latency | None,
    qps: float | None,
) -> Efficiency:
    queries, query_terms = prepared.queries, prepared.query_terms
    if settings.feedback is not None:
        queries = expand_all(searcher, queries, settings.feedback)
        query_terms = queries.nnz / max(1, len(queries))
    costs = index_costs(
        searcher.index, queries, query_terms=query_terms, threads=threads, index_s=prepared.index_s,
        encode=prepared.encode, search=latency, qps=qps,
    )  # fmt: skip
    # Multiplications of sparse vectors say little where other vectors or models score, too.
    return costs if settings.hybrid is None else replace(costs, flops=None)
