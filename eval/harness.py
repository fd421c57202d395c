"""One system on one dataset: search, measure, time, and write down how it was done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.eval.data.datasets import CorpusSummary, Dataset
from lsr.eval.data.qrels import Qrels
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.eval.measures.efficiency import flops, latency, term_counts
from lsr.eval.measures.measures import DEFAULT_MEASURES, Evaluation, evaluate, parse_measure
from lsr.eval.reports.provenance import Provenance
from lsr.eval.reports.results import DatasetFacts, Efficiency, Latency, Protocol, Result, qrels_sha256
from lsr.eval.systems.systems import TIMED_QUERIES, Prepared, System
from lsr.indexer.storage.arrays import DOCUMENTS
from lsr.indexer.storage.index import StoredIndex
from lsr.query.feedback import expand_all
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch

TEXT_RULE = "title and text of a document joined by a space"
OUR_TIES = "scores made strictly decreasing in the system's own order (equal scores: earlier document first)"
TREC_TIES = "as trec_eval: scores as float32, equal ones by doc_id descending"
WARM_UP_QUERIES = 20


@dataclass(frozen=True, slots=True)
class Options:
    """The rules that all systems of an evaluation are held to."""

    k: int = 100
    measures: tuple[str, ...] = DEFAULT_MEASURES
    drop_identical_ids: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        deepest = max(parse_measure(measure).cutoff for measure in self.measures)
        if self.k < deepest:
            raise UsageError(f"k is {self.k}, but a measure looks at the first {deepest} results: give -k {deepest}")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}; it must be at least 1")


def evaluate_system(
    system: System, dataset: Dataset, summary: CorpusSummary, options: Options, provenance: Provenance
) -> tuple[Result, Run]:
    """Search all the dataset's queries with a system, and return the result and the run. Search is exact."""
    prepared = system.prepare(dataset)
    query_ids = list(dataset.queries)
    # A hit that is the query itself takes a place that dropping then frees.
    k = options.k + options.drop_identical_ids
    rankings, search, qps = _search(prepared, query_ids, k, options.threads)
    run = run_of(rankings)
    evaluation = evaluate(run, dataset.qrels, measures=options.measures, drop_identical_ids=options.drop_identical_ids)
    index = prepared.index
    texts_bytes = sum(segment.info.part.files[DOCUMENTS].size_bytes for segment in index.segments)
    vocab_size = len(index.vocabulary)
    queries, query_terms = prepared.queries, prepared.query_terms
    encoder = dict(index.manifest.encoder)
    if prepared.feedback is not None:
        queries = expand_all(Searcher(index), queries, prepared.feedback)
        query_terms = queries.nnz / max(1, len(queries))
        encoder["feedback"] = asdict(prepared.feedback)
    costs = Efficiency(
        threads=options.threads,
        document_terms=index.manifest.n_postings / max(1, len(index)),
        query_terms=query_terms,
        flops=flops(document_df(index), len(index), term_counts(queries, vocab_size), len(query_ids)),
        index_size_bytes=index.manifest.size_bytes - texts_bytes,
        stored_texts_bytes=texts_bytes,
        index_s=prepared.index_s,
        encode=prepared.encode,
        search=search,
        qps=qps,
    )
    facts = dataset_facts(dataset, summary)
    protocol = Protocol(options.k, TEXT_RULE, options.drop_identical_ids, OUR_TIES, None)
    return make_result(system.name, encoder, facts, protocol, evaluation, costs, provenance), run


def evaluate_run(
    name: str, run: Mapping[str, Mapping[str, float]], qrels: Qrels, dataset: tuple[str, str], options: Options,
    provenance: Provenance,
) -> Result:  # fmt: skip
    """Measure any system's run against qrels. dataset: its name and split."""
    evaluation = evaluate(run, qrels, measures=options.measures, drop_identical_ids=options.drop_identical_ids)
    n_judgements = sum(map(len, qrels.values()))
    facts = DatasetFacts(*dataset, len(qrels), n_judgements, qrels_sha256(qrels), *[None] * 5)
    protocol = Protocol(None, None, options.drop_identical_ids, TREC_TIES, None)
    return make_result(name, None, facts, protocol, evaluation, None, provenance)


def evaluate_rankings(
    name: str,
    run: Run,
    encoder: Mapping[str, object],
    dataset: Dataset,
    summary: CorpusSummary,
    options: Options,
    provenance: Provenance,
) -> Result:
    """Measure a run that was made here by other means (a fusion, a baseline); `encoder` says how."""
    evaluation = evaluate(run, dataset.qrels, measures=options.measures, drop_identical_ids=options.drop_identical_ids)
    protocol = Protocol(options.k, TEXT_RULE, options.drop_identical_ids, TREC_TIES, None)
    return make_result(name, encoder, dataset_facts(dataset, summary), protocol, evaluation, None, provenance)


def make_result(
    system: str, encoder: Mapping[str, object] | None, facts: DatasetFacts, protocol: Protocol,
    evaluation: Evaluation, costs: Efficiency | None, provenance: Provenance,
) -> Result:  # fmt: skip
    """Put together what a result file holds."""
    return Result(
        system=system,
        encoder=encoder,
        dataset=facts,
        protocol=protocol,
        measures=evaluation.mean,
        n_queries_without_results=evaluation.n_queries_without_results,
        n_queries_not_judged=evaluation.n_queries_not_judged,
        n_unjudged_at_10=evaluation.n_unjudged_at_10,
        identical_ids_dropped=evaluation.identical_ids_dropped,
        efficiency=costs,
        per_query=evaluation.per_query,
        provenance=provenance,
    )


def dataset_facts(dataset: Dataset, summary: CorpusSummary) -> DatasetFacts:
    """Return what a result file says of a dataset."""
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        n_queries=len(dataset.qrels),
        n_judgements=dataset.n_judgements,
        qrels_sha256=qrels_sha256(dataset.qrels),
        n_queries_without_qrels=dataset.n_queries_without_qrels,
        n_docs=summary.n_docs,
        n_docs_without_title=summary.n_without_title,
        n_docs_without_text=summary.n_without_text,
        n_unknown_judged=summary.n_unknown_judged,
    )


def document_df(index: StoredIndex) -> npt.NDArray[np.int64]:
    """Return, int64 (vocab_size), in how many documents of an index each term stands."""
    df = np.zeros(len(index.vocabulary), np.int64)
    for segment in index.segments:
        df[segment.terms] += segment.df(np.arange(len(segment.terms)))
    return df


def _search(
    prepared: Prepared, query_ids: Sequence[str], k: int, threads: int
) -> tuple[list[Ranking], Latency | None, float | None]:
    """Return all rankings; the latency of queries one by one on one thread; the rate of all on `threads`."""
    searcher = Searcher(prepared.index)
    queries, feedback = prepared.queries, prepared.feedback
    singles = [_single(queries, i) for i in range(min(len(queries), TIMED_QUERIES))]
    for single in singles[:WARM_UP_QUERIES]:
        list(searcher.rank(single, k=k, threads=1, feedback=feedback))
    began = time.perf_counter()
    rankings = [
        Ranking(query_id, searcher.doc_ids(found), found.scores)
        for query_id, found in zip(
            query_ids, searcher.rank(queries, k=k, threads=threads, feedback=feedback), strict=True
        )
    ]
    elapsed = time.perf_counter() - began
    seconds = []
    for single in singles:
        began = time.perf_counter()
        for found in searcher.rank(single, k=k, threads=1, feedback=feedback):
            searcher.doc_ids(found)
        seconds.append(time.perf_counter() - began)
    return rankings, latency(seconds), len(queries) / elapsed if elapsed > 0 else None


def _single(queries: SparseBatch, row: int) -> SparseBatch:
    term_ids, weights = queries.row(row)
    return SparseBatch(np.array([0, len(term_ids)], np.int64), term_ids, weights, queries.vocab_size)


def cache_folder() -> Path:
    """Return the folder that indexes made for evaluation are kept in."""
    from lsr.eval.data.download import dataset_cache

    return dataset_cache().parent / "eval"
