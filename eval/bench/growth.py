"""Cost of growth: commits of a few documents to a large index, and searches in the segments that they leave."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsr.errors import LsrError, UsageError
from lsr.eval.bench import own
from lsr.eval.bench.collection import SparseCollection, rows, without_unmatched
from lsr.eval.bench.registry import OWN
from lsr.eval.bench.report import FORMAT_VERSION
from lsr.eval.bench.run import check_exact
from lsr.eval.bench.store import Store
from lsr.eval.bench.timing import Latency, summarise, time_round
from lsr.eval.reports.provenance import Provenance
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.io.dataclass_json import to_json
from lsr.io.text_files import written_whole
from lsr.io.writer_lock import NAME as LOCK_NAME
from lsr.types import Document, SparseBatch

log = logging.getLogger(__name__)

FORMAT = "lsr-bench-growth"
SMALL = 10
"""Batches in the small index with which adding is compared."""


@dataclass(frozen=True, slots=True)
class GrowthOptions:
    """Number and size of the commits, and the timing of searches. rounds: in addition to one to warm up."""

    commits: int = 20
    batch: int = 1000
    ks: tuple[int, ...] = (10,)
    rounds: int = 5
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Adding:
    """Adding one batch and committing, the median over the commits: seconds by the clock, and of processors.

    n_docs: what was there before the first. first_s: the first commit, by the clock.
    """

    n_docs: int
    s: float
    cpu_s: float
    first_s: float


@dataclass(frozen=True, slots=True)
class Searching:
    """Latency at one k in the grown index and the merged one; of each query, the least of its rounds."""

    k: int
    grown: Latency
    merged: Latency

    @property
    def p50_ratio(self) -> float:
        """Median latency in the grown index, divided by that in the merged one."""
        return self.grown.p50_us / self.merged.p50_us


@dataclass(frozen=True, slots=True)
class GrowthReport:
    """All numbers on one collection. merging_cpu_s: by the policy, after all commits together."""

    name: str
    batch: int
    commits: int
    adding: Adding
    adding_to_small: Adding
    merging_cpu_s: float
    n_segments: int
    searching: tuple[Searching, ...]


def bench_growth(
    collection: SparseCollection,
    options: GrowthOptions,
    *,
    cache: Path,
    source: Path | None,
) -> GrowthReport:
    """StoredIndex all but the last documents of a collection, add those in commits, and measure.

    cache, source: see `Store`. Raises UsageError for fewer documents than are to be added, and LsrError if a
    ranking isn't exactly that of plain scoring.
    """
    collection = without_unmatched(collection)
    n_before = len(collection.documents) - options.commits * options.batch
    if n_before < 1:
        raise UsageError(
            f"{collection.name}: {options.commits} commits of {options.batch} documents need more than the "
            f"{len(collection.documents)} that there are"
        )
    before = collection.take(docs=n_before)
    base = Store(cache, before, source, threads=options.threads).index(OWN, own.SETTINGS[0])
    truth = Store(cache, collection, source, threads=options.threads).truth(max(options.ks))
    added = rows(collection.documents, n_before, len(collection.documents))
    with tempfile.TemporaryDirectory(prefix="growth-", dir=cache) as work:

        def check(index: StoredIndex) -> None:
            check_exact(own.searcher(index), collection, truth, options.ks)

        return measure_growth(
            collection.name, base.folder / "index", added, collection.queries, options, Path(work), check=check
        )


def measure_growth(
    name: str,
    base: Path,
    added: SparseBatch,
    queries: SparseBatch,
    options: GrowthOptions,
    work: Path,
    *,
    check: Callable[[StoredIndex], None] = lambda index: None,  # noqa: ARG005
) -> GrowthReport:
    """Add documents to a copy of an index of ready vectors, and measure.

    added: commits · batch documents. work: an empty folder on the disk of `base`, for copies. check: is given the
    grown index. Raises LsrError where grown and merged index differ in a ranking, and what `check` raises.
    """
    grown, merged, small = work / "grown", work / "merged", work / "small"
    _copy(base, grown)
    log.info(f"adding {options.commits} × {options.batch} documents")
    adding, merging_cpu_s = _grow(grown, added, options, merge=True)
    own.build(rows(added, 0, SMALL * options.batch), np.empty(0, np.int64), small, reorder=True)
    again = rows(added, 0, min(5, options.commits) * options.batch)
    adding_to_small, _ = _grow(small / "index", again, options, merge=False)
    log.info("merging all for comparison")
    _copy(grown, merged)
    merge_index(merged, threads=options.threads)
    with _opened(grown) as one, _opened(merged) as other:
        check(one)
        log.info("timing")
        searching = tuple(_search(one, other, queries, k, options.rounds) for k in options.ks)
        n_segments = len(one.segments)
    return GrowthReport(
        name, options.batch, options.commits, adding, adding_to_small, merging_cpu_s, n_segments, searching
    )


def _copy(index: Path, to: Path) -> None:
    """Copy an index by links: its files never change, but for the lock, which must be each copy's alone."""
    shutil.copytree(index, to, copy_function=os.link, ignore=shutil.ignore_patterns(LOCK_NAME))


@contextmanager
def _opened(path: Path) -> Iterator[StoredIndex]:
    with StoredIndex.open(path) as index:
        yield index


def _grow(path: Path, added: SparseBatch, options: GrowthOptions, *, merge: bool) -> tuple[Adding, float]:
    """Add documents in commits; return the times of that, and the processor's time of merging by the policy."""
    with StoredIndex.open(path) as index:
        n_docs = len(index)
    took: list[tuple[float, float]] = []
    merging = 0.0
    for first in range(0, len(added), options.batch):
        vectors = rows(added, first, first + options.batch)
        documents = [Document(f"added {first + i}", "") for i in range(len(vectors))]
        wall, cpu = time.perf_counter(), time.process_time()
        with IndexEditor(path, threads=options.threads) as editor:
            editor.add(documents, vectors)
            editor.commit()
        took.append((time.perf_counter() - wall, time.process_time() - cpu))
        if merge:
            cpu = time.process_time()
            merge_index(path, only_due=True, threads=options.threads)
            merging += time.process_time() - cpu
    seconds, cpu_seconds = np.median(took, axis=0)
    return Adding(n_docs, float(seconds), float(cpu_seconds), took[0][0]), merging


def _search(grown: StoredIndex, merged: StoredIndex, queries: SparseBatch, k: int, rounds: int) -> Searching:
    searches = [own.searcher(index) for index in (grown, merged)]
    prepared = [searches[0].prepare(*row) for row in queries]
    for number, query in enumerate(prepared):
        one, other = (search.search(query, k) for search in searches)
        if not np.array_equal(one.positions, other.positions) or not np.array_equal(one.scores, other.scores):
            raise LsrError(
                f"query {number} at k = {k}: segments change the ranking; this is a defect, please report it"
            )
    least = np.full((2, len(prepared)), np.inf)
    for _ in range(rounds):
        for number, search in enumerate(searches):
            least[number] = np.minimum(least[number], time_round(search.search, prepared, k).latency_us)
    return Searching(k, summarise(least[0]), summarise(least[1]))


def growth_lines(report: GrowthReport) -> Iterator[str]:
    """Yield the lines of a report for a terminal."""
    yield f"{report.name}: {report.commits} commits of {report.batch:,} documents"
    for adding in (report.adding, report.adding_to_small):
        yield (
            f"Adding {report.batch:,} to {adding.n_docs:,}: {adding.s * 1e3:,.0f} ms, of processors "
            f"{adding.cpu_s * 1e3:,.0f} (medians); the first {adding.first_s * 1e3:,.0f} ms"
        )
    yield f"Merging by the policy, all {report.commits} times together: {report.merging_cpu_s:.1f} s of processors"
    for searching in report.searching:
        yield (
            f"Searching, k = {searching.k}, median: merged {searching.merged.p50_us:,.0f} µs, "
            f"{report.n_segments} segments {searching.grown.p50_us:,.0f} µs, {searching.p50_ratio:.2f} ×"
        )
    yield "A query's latency is the least of its rounds. All rankings are the same in both."


def write_growth(path: Path, reports: Sequence[GrowthReport], provenance: Provenance) -> None:
    """Write reports as JSON, completely or not at all."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, "collections": [to_json(r) for r in reports]}
    with written_whole(path) as file:
        json.dump(content | {"provenance": to_json(provenance)}, file, indent=1)
        file.write("\n")
