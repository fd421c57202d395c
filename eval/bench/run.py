"""The benchmark of one collection: build, open, time, and compare everything with the truth."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsr.errors import LsrError
from lsr.eval.bench import approximations, own
from lsr.eval.bench.collection import SparseCollection, document_frequencies, without_unmatched
from lsr.eval.bench.engine import Search, Setting
from lsr.eval.bench.oracle import Truth, recall
from lsr.eval.bench.registry import OWN, engine
from lsr.eval.bench.report import (
    CollectionReport,
    IndexReport,
    Measurement,
    StepsReport,
    Throughput,
    Touched,
    TraversalReport,
)
from lsr.eval.bench.store import Store
from lsr.eval.bench.timing import summarise, time_engines, time_threads
from lsr.eval.bench.traversals import account_all, compare_traversals
from lsr.kernels.geometry import SUPERBLOCK
from lsr.query.searcher import Searcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Engines, cutoffs and rounds of a benchmark.

    peers: names of `lsr.eval.bench.registry`. threads: for building and throughput. prune: shares of documents'
    mass, of indexes that are timed too.
    """

    ks: tuple[int, ...] = (10, 100, 1000)
    rounds: int = 3
    threads: int = 2
    peers: tuple[str, ...] = ()
    without_reordering: bool = False
    traversals: bool = False
    steps: bool = False
    approximate: bool = False
    rebuild: bool = False
    prune: tuple[float, ...] = ()


def bench_collection(
    collection: SparseCollection,
    options: BenchOptions,
    *,
    cache: Path,
    source: Path | None,
) -> CollectionReport:
    """Measure our engine and the peers on a collection.

    cache, source: see `Store`. Raises LsrError if our engine doesn't return exactly the right documents,
    scores and order.
    """
    n_queries = len(collection.queries)
    collection = without_unmatched(collection)
    if not len(collection.queries):
        raise LsrError(f"{collection.name}: none of the {n_queries} queries has a term of the documents")
    if len(collection.queries) < n_queries:
        log.info(f"left out {n_queries - len(collection.queries)} queries that no document matches")
    store = Store(cache, collection, source, threads=options.threads, rebuild=options.rebuild)
    ours = own.SETTINGS + ((own.NOT_REORDERED,) if options.without_reordering else ())
    ours += approximations.SETTINGS if options.approximate else ()
    ours += tuple(map(own.pruned, options.prune))
    indexes, searches = [], {}
    lines: list[tuple[str, Setting]] = [(OWN, setting) for setting in ours]
    lines += [(peer, setting) for peer in options.peers for setting in engine(peer).SETTINGS]
    opened: dict[str, object] = {}
    order_is_ours = True
    for name, setting in lines:
        module = engine(name)
        if setting.index not in opened:
            built = store.index(name, setting)
            cost = store.open_cost(name, setting, built)
            module.load()
            opened[setting.index] = module.open_index(built.folder)
            indexes.append(
                IndexReport(
                    setting.index,
                    module.PACKAGE,
                    built.version,
                    setting.note,
                    built.cost,
                    built.kept,
                    built.size_bytes,
                    built.size_bytes / max(1, collection.documents.nnz),
                    cost,
                )
            )
            if setting == own.SETTINGS[0]:
                order_is_ours = _agree_on_order(store, opened[setting.index])
        searches[setting.name] = module.searcher(opened[setting.index], **setting.search)
    approximate = frozenset(setting.name for _, setting in lines if setting.approximate)
    truth = store.truth(max(options.ks))
    for setting in ours:
        if not setting.approximate:
            check_exact(searches[setting.name], collection, truth, options.ks)
    searcher = Searcher(opened[own.SETTINGS[0].index])  # type: ignore[arg-type]
    measurements: list[Measurement] = []
    touched, throughput, traversals = [], [], []
    steps: list[StepsReport] = []
    for k in options.ks:
        log.info(f"timing at k = {k}")
        measurements += _measure(searches, approximate, collection, truth, k, options.rounds)
        touched.append(_touched(searcher, collection, k))
        throughput.append(_throughput(searcher, collection, k, options))
        if options.traversals:
            traversals.append(compare_traversals(searcher.index, collection.queries, k, rounds=options.rounds))
        if options.steps:
            steps += account_all(own.searcher(searcher.index), collection.queries, k, rounds=options.rounds)
    return _report(collection, order_is_ours, indexes, measurements, touched, throughput, traversals, steps)


def _agree_on_order(store: Store, index: object) -> bool:
    """Fix the peers' document order if no run has yet; return True if it is that of our index."""
    present = own.document_order(index)  # type: ignore[arg-type]
    fixed = store.order()
    if fixed is None:
        store.keep_order(present)
        return True
    return bool(np.array_equal(present, fixed))


def check_exact(search: Search, collection: SparseCollection, truth: Truth, ks: Sequence[int]) -> None:
    """Raise LsrError unless our engine returns the right documents, scores and order for every query and k."""
    for k in ks:
        for number, (term_ids, weights) in enumerate(collection.queries):
            ranking = search.search(search.prepare(term_ids, weights), k)
            positions, scores = truth.best(number, k)
            if not np.array_equal(ranking.positions, positions) or not np.array_equal(ranking.scores, scores):
                raise LsrError(
                    f"query {number} at k = {k}: our ranking isn't the exact one ({len(ranking)} documents against "
                    f"{len(positions)} by plain scoring); this is a defect of the engine, please report it"
                )


def _measure(
    searches: dict[str, Search],
    approximate: frozenset[str],
    collection: SparseCollection,
    truth: Truth,
    k: int,
    rounds: int,
) -> list[Measurement]:
    timed = time_engines(searches, collection.queries, k, rounds=rounds)
    ours = timed[own.SETTINGS[0].name]
    found = []
    for name, result in timed.items():
        value = recall(collection, truth, result.found, k)
        measurement = Measurement(
            engine=name,
            k=k,
            latency=summarise(result.latency_us),
            recall=value,
            exact=value == 1.0 and name not in approximate,
            times_ours=float(result.latency_us.mean() / ours.latency_us.mean()),
            cpu_us=result.cpu_us,
            times_ours_cpu=result.cpu_us / ours.cpu_us,
            waited=result.waited,
        )
        found.append(measurement)
    return found


def _touched(searcher: Searcher, collection: SparseCollection, k: int) -> Touched:
    rankings = list(searcher.rank(collection.queries, k=k, threads=1))
    bounded, scored = np.mean([(ranking.n_bounded, ranking.n_scored) for ranking in rankings], axis=0)
    n_superblocks = sum(-(-segment.n_docs // SUPERBLOCK) for segment in searcher.index.segments)
    return Touched(
        k,
        float(np.mean([ranking.n_postings for ranking in rankings])),
        n_superblocks,
        float(bounded),
        float(scored),
        dict(Counter(" + ".join(ranking.traversals) or "none" for ranking in rankings)),
    )


def _throughput(searcher: Searcher, collection: SparseCollection, k: int, options: BenchOptions) -> Throughput:
    counts = sorted({1, options.threads})

    def answer(threads: int) -> object:
        return list(searcher.rank(collection.queries, k=k, threads=threads))

    return Throughput(k, time_threads(answer, counts, len(collection.queries), rounds=options.rounds))


def _report(
    collection: SparseCollection,
    order_is_ours: bool,
    indexes: list[IndexReport],
    measurements: list[Measurement],
    touched: list[Touched],
    throughput: list[Throughput],
    traversals: list[TraversalReport],
    steps: list[StepsReport],
) -> CollectionReport:
    documents, queries = collection.documents, collection.queries
    df = document_frequencies(documents)
    return CollectionReport(
        name=collection.name,
        n_docs=len(documents),
        n_postings=documents.nnz,
        n_queries=len(queries),
        terms_a_document=documents.nnz / max(1, len(documents)),
        terms_a_query=queries.nnz / max(1, len(queries)),
        postings_a_document_and_query=float(df[queries.term_ids].sum()) / max(1, len(queries) * len(documents)),
        peers_order_is_ours=order_is_ours,
        indexes=tuple(indexes),
        measurements=tuple(measurements),
        touched=tuple(touched),
        throughput=tuple(throughput),
        traversals=tuple(traversals),
        steps=tuple(steps),
    )
