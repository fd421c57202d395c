"""Costs of searching an index: sizes counted, queries timed one by one and all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lsr.eval.measures.efficiency import flops, latency, term_counts
from lsr.eval.reports.results import Efficiency, Latency
from lsr.indexer.storage.files import DOCUMENTS, FIELDS_FILE
from lsr.indexer.storage.index import StoredIndex
from lsr.types import SparseBatch

TIMED_QUERIES = 1000
WARM_UP_QUERIES = 20


def timed(calls: Sequence[Callable[[], object]]) -> Latency | None:
    """Return the latency of calls made one after another, the first 1,000; None where there are none."""
    seconds = []
    for call in calls[:TIMED_QUERIES]:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return latency(seconds)


def single_rows(queries: SparseBatch) -> Iterator[SparseBatch]:
    """Yield the queries that are timed one by one, each as a batch."""
    return (queries.rows(i, i + 1) for i in range(min(len(queries), TIMED_QUERIES)))


def document_df(index: StoredIndex) -> npt.NDArray[np.int64]:
    """Return the number of documents that hold each term: int64, (vocab_size)."""
    df = np.zeros(len(index.vocabulary), np.int64)
    for segment in index.segments:
        df[segment.terms] += segment.df(np.arange(len(segment.terms)))
    return df


def index_costs(
    index: StoredIndex,
    queries: SparseBatch,
    *,
    query_terms: float,
    threads: int,
    index_s: float | None,
    encode: Latency | None,
    search: Latency | None,
    qps: float | None,
) -> Efficiency:
    """Return the costs of a search of an index by terms. queries: as they are scored, expanded where feedback is."""
    files = [segment.info.part.files for segment in index.segments]
    texts_bytes = sum(of[name].size_bytes for of in files for name in (DOCUMENTS, FIELDS_FILE) if name in of)
    return Efficiency(
        threads=threads,
        document_terms=index.manifest.n_postings / max(1, len(index)),
        query_terms=query_terms,
        flops=flops(document_df(index), len(index), term_counts(queries, len(index.vocabulary)), len(queries)),
        index_size_bytes=index.manifest.size_bytes - texts_bytes,
        stored_texts_bytes=texts_bytes,
        index_s=index_s,
        encode=encode,
        search=search,
        qps=qps,
    )
