"""Results of a benchmark: every number that is shown, with its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsr.eval.bench.child import BuildCost, OpenCost
from lsr.eval.bench.timing import Latency, Rate
from lsr.eval.reports.provenance import Provenance
from lsr.io.dataclass_json import to_json
from lsr.io.text_files import written_whole

FORMAT, FORMAT_VERSION = "lsr-bench", 1


@dataclass(frozen=True, slots=True)
class IndexReport:
    """An index of one engine, with the costs of building and opening it."""

    engine: str
    package: str
    version: str
    note: str
    build: BuildCost
    built_earlier: bool
    """True where an earlier run built the index, measured it, and left it in the cache."""
    size_bytes: int
    bytes_a_posting: float
    open: OpenCost


@dataclass(frozen=True, slots=True)
class Measurement:
    """An engine at one k. exact: it is meant to be, and recall was 1. times_ours: its mean latency over ours.

    cpu_us: processor time for a query, the mean; times_ours_cpu: that over ours. waited: the share of the
    time in which other work on the machine had the cores. Waiting hits slow engines hardest: where it is
    much, only processor times can be compared.
    """

    engine: str
    k: int
    latency: Latency
    recall: float
    exact: bool
    times_ours: float
    cpu_us: float
    times_ours_cpu: float
    waited: float


@dataclass(frozen=True, slots=True)
class Touched:
    """Data that our engine reads for a query at one k, means over the queries.

    postings: of the query's terms. superblocks_bounded: those whose blocks' bounds were looked at;
    superblocks_scored: those whose postings were. traversals: how often the planner chose each.
    """

    k: int
    postings: float
    superblocks: int
    superblocks_bounded: float
    superblocks_scored: float
    traversals: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Throughput of our engine at one k, by number of threads."""

    k: int
    by_threads: Mapping[int, Rate]


@dataclass(frozen=True, slots=True)
class TraversalReport:
    """Every traversal of ours at one k, each query's latency being the least of its rounds.

    within_a_tenth: share of queries where the planner's choice takes at most 1.1 times the best
    traversal's time. lost_us: mean latency beyond that of the best.
    """

    k: int
    latencies: Mapping[str, Latency]
    best: Latency
    planner: Latency
    chosen: Mapping[str, int]
    within_a_tenth: float
    lost_us: float


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a search, means over the queries.

    us: microseconds, of each query the least of the rounds. n_bytes: that the step has to read, at least. n_items:
    terms, postings, superblocks or pages that it goes through.
    """

    name: str
    us: float
    n_bytes: float
    n_items: float


@dataclass(frozen=True, slots=True)
class StepsReport:
    """The steps of a search at one k. settings: those of an approximate search, empty for an exact one."""

    k: int
    settings: str
    steps: tuple[Step, ...]

    @property
    def us(self) -> float:
        """Microseconds of all steps together."""
        return sum(step.us for step in self.steps)


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """All numbers on one collection."""

    name: str
    n_docs: int
    n_postings: int
    n_queries: int
    terms_a_document: float
    terms_a_query: float
    postings_a_document_and_query: float
    peers_order_is_ours: bool
    """True where the peers' indexes hold the documents in the order of our present index, not an earlier one."""
    indexes: tuple[IndexReport, ...]
    measurements: tuple[Measurement, ...]
    touched: tuple[Touched, ...]
    throughput: tuple[Throughput, ...]
    traversals: tuple[TraversalReport, ...]
    steps: tuple[StepsReport, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A whole run."""

    protocol: str
    rounds: int
    notes: tuple[str, ...]
    collections: tuple[CollectionReport, ...]
    provenance: Provenance


def fastest_exact_peer(report: CollectionReport, k: int, own: frozenset[str]) -> Measurement | None:
    """Return the measurement of the fastest peer that missed nothing at this k. own: names that aren't peers."""
    peers = [m for m in report.measurements if m.k == k and m.exact and m.engine not in own]
    return min(peers, key=lambda m: m.latency.mean_us, default=None)


def write_report(path: Path, report: BenchReport) -> None:
    """Write a report as JSON, completely or not at all."""
    with written_whole(path) as file:
        json.dump({"format": FORMAT, "format_version": FORMAT_VERSION, **to_json(report)}, file, indent=1)
        file.write("\n")
