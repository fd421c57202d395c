"""A benchmark's numbers as lines of text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from lsr.eval.bench import own
from lsr.eval.bench.report import (
    BenchReport,
    CollectionReport,
    Measurement,
    StepsReport,
    TraversalReport,
    fastest_exact_peer,
)
from lsr.eval.bench.timing import Latency

OURS = frozenset(setting.name for setting in (*own.SETTINGS, own.NOT_REORDERED))
BUSY = 0.1
"""Share of time spent waiting for a core beyond which a reader is warned."""
WIDTH = 110
RECALLS = (0.95, 0.98, 0.99)
"""Recalls at which approximate searches are compared."""


def lines(report: BenchReport) -> Iterator[str]:
    """Yield the lines of all tables."""
    for collection in report.collections:
        yield (
            f"{collection.name}: {collection.n_docs:,} documents of {collection.terms_a_document:.0f} terms; "
            f"{collection.n_queries:,} queries of {collection.terms_a_query:.1f} terms, "
            f"{collection.postings_a_document_and_query:.2f} postings a document"
        )
        yield ""
        yield from _indexes(collection)
        for k in sorted({m.k for m in collection.measurements}):
            yield ""
            yield from _latencies(collection, k)
        yield ""
        yield from _ours(collection)
        for compared in collection.traversals:
            yield ""
            yield from _traversals(compared)
        for k in sorted({report.k for report in collection.steps}):
            yield ""
            yield from _steps([report for report in collection.steps if report.k == k])
        yield ""
    if len(report.collections) > 1:
        yield from _growth(report.collections)
        yield ""
    hardware = report.provenance.hardware
    yield f"{hardware.cpu}, {hardware.cores} cores, {hardware.memory_bytes / 1e9:.0f} GB; {report.provenance.date}"
    yield from textwrap.wrap(f"Latencies: {report.protocol} Rounds: {report.rounds}.", WIDTH)


def _growth(collections: Sequence[CollectionReport]) -> Iterator[str]:
    """Yield a table for each k: every engine's mean latency by the number of documents, and how it grows."""
    collections = sorted(collections, key=lambda collection: collection.n_docs)
    by_size = [{(m.engine, m.k): m for m in collection.measurements} for collection in collections]
    for number, k in enumerate(sorted({k for _, k in by_size[0]})):
        if number:
            yield ""
        rows = []
        for name in dict.fromkeys(name for measured in by_size for name, _ in measured):
            found = [measured.get((name, k)) for measured in by_size]
            first = found[0]
            rows.append(
                [name, *(_grown(m, first) for m in found), *("" if m is None else f"{m.recall:.3f}" for m in found)]
            )
        sizes = [f"{collection.n_docs:,}" for collection in collections]
        yield from _table([f"documents, k = {k}", *sizes, *(f"recall, {size}" for size in sizes)], rows)
    yield "Mean µs a query by the number of documents; in brackets, how many times those of the fewest."


def _grown(m: Measurement | None, first: Measurement | None) -> str:
    if m is None:
        return ""
    mean = f"{m.latency.mean_us:,.0f}"
    return mean if first is None or m is first else f"{mean} ({m.latency.mean_us / first.latency.mean_us:.2f} ×)"


def _indexes(report: CollectionReport) -> Iterator[str]:
    header = "index|version|build s|CPU s|peak MB|size MB|bytes/posting|open ms|first query ms|resident MB|heap MB"
    rows = [
        [
            index.engine,
            index.version,
            f"{index.build.build_s:.1f}" + "*" * index.built_earlier,
            f"{index.build.cpu_s:.1f}",
            _mb(index.build.peak_bytes),
            _mb(index.size_bytes),
            f"{index.bytes_a_posting:.2f}",
            f"{index.open.open_ms:,.1f}",
            f"{index.open.first_query_ms:,.1f}",
            _mb(index.open.resident_bytes),
            "?" if index.open.anonymous_bytes is None else _mb(index.open.anonymous_bytes),
        ]
        for index in report.indexes
    ]
    yield from _table(header.split("|"), rows)
    yield "Memory: peak of building beyond the vectors themselves; after all queries, in all and without mapped files."
    if any(index.built_earlier for index in report.indexes):
        yield "* measured by an earlier run, which built the index"
    if not report.peers_order_is_ours:
        yield "The peers' indexes hold the documents in the order of an earlier index of ours."


def _latencies(report: CollectionReport, k: int) -> Iterator[str]:
    measured = [m for m in report.measurements if m.k == k]
    yield from _table(
        [f"k = {k}", "mean µs", "p50", "p95", "p99", "CPU µs", "recall", "× ours", "by CPU"],
        [_latency(m) for m in measured],
    )
    fastest = fastest_exact_peer(report, k, OURS)
    if fastest is not None:
        yield (
            f"Fastest exact peer: {fastest.engine}; ours is {fastest.times_ours:.2f} times as fast "
            f"({fastest.times_ours_cpu:.2f} by processor time)."
        )
    yield from _at_recall(measured)
    yield from _warning(measured)


def _at_recall(measured: Sequence[Measurement]) -> Iterator[str]:
    """Yield a line for each of RECALLS that some miss: the fastest of ours and of the peers there."""
    ours = [m for m in measured if m.engine.startswith(own.SETTINGS[0].name)]
    peers = [m for m in measured if m not in ours]
    if not any(m.recall < 1 for m in ours) or not any(m.recall < 1 for m in peers):
        return
    for least in RECALLS:
        mine, theirs = _fastest(ours, least), _fastest(peers, least)
        if mine is None or theirs is None:
            continue
        ratio = theirs.latency.mean_us / mine.latency.mean_us
        shown = (f"{m.engine} {m.latency.mean_us:,.0f} µs ({m.recall:.3f})" for m in (mine, theirs))
        yield f"At recall {least:g}: {', '.join(shown)}, {ratio:.1f} ×."


def _fastest(measured: Sequence[Measurement], least: float) -> Measurement | None:
    reached = [m for m in measured if m.recall >= least]
    return min(reached, key=lambda m: m.latency.mean_us, default=None)


def _latency(m: Measurement) -> list[str]:
    ratios = (f"{m.times_ours:.2f}", f"{m.times_ours_cpu:.2f}")
    return [m.engine, *_microseconds(m.latency), f"{m.cpu_us:,.0f}", f"{m.recall:.4f}", *ratios]


def _warning(measured: Sequence[Measurement]) -> Iterator[str]:
    waited = max(m.waited for m in measured)
    if waited > BUSY:
        yield (
            f"The machine was busy: engines waited up to {waited:.0%} of their time for a core, and "
            "slow ones the most. Only processor times can be compared."
        )


def _ours(report: CollectionReport) -> Iterator[str]:
    threads = sorted(report.throughput[0].by_threads)
    header = ["ours, k"] + [f"QPS, {n} thread{'s' if n > 1 else ''}" for n in threads]
    header += ["ratio", "cores", "postings", "superblocks", "bounded", "scored", "traversals"]
    rows = []
    for touched, throughput in zip(report.touched, report.throughput, strict=True):
        rates = [throughput.by_threads[n] for n in threads]
        rows.append(
            [
                str(touched.k),
                *(f"{rate.qps:,.0f}" for rate in rates),
                f"{rates[-1].qps / rates[0].qps:.2f}",
                " ".join(f"{rate.cores:.2f}" for rate in rates),
                f"{touched.postings:,.0f}",
                f"{touched.superblocks:,}",
                f"{touched.superblocks_bounded:,.1f}",
                f"{touched.superblocks_scored:,.1f}",
                _counts(touched.traversals),
            ]
        )
    yield from _table(header, rows)
    yield "Cores: how many were at work, on the average, with one thread and with more. Means over the queries:"
    yield "postings of their terms; superblocks in all, those whose blocks were bounded, those that were scored."


def _traversals(compared: TraversalReport) -> Iterator[str]:
    named = [*compared.latencies.items(), ("best of each query", compared.best), ("planner", compared.planner)]
    yield from _table(
        [f"traversals, k = {compared.k}", "mean µs", "p50", "p95", "p99", "p99/p50"],
        [[name, *_microseconds(latency), f"{latency.p99_us / latency.p50_us:.1f}"] for name, latency in named],
    )
    yield (
        f"The planner chose {_counts(compared.chosen)}: within 10 % of the best on {compared.within_a_tenth:.1%} of "
        f"queries, {compared.lost_us:.1f} µs lost in the mean. Here a latency is the least of its rounds."
    )


def _steps(reports: Sequence[StepsReport]) -> Iterator[str]:
    """Yield the steps of the exact search, with what they move, beside the times of the approximate ones."""
    exact = reports[0]
    header = [f"steps, k = {exact.k}", "exact µs", "kB", "items", *(f"{report.settings} µs" for report in reports[1:])]
    rows = []
    for steps in zip(*(report.steps for report in reports), strict=True):
        own = steps[0]
        counts = [f"{own.us:,.1f}", f"{own.n_bytes / 1e3:,.0f}", f"{own.n_items:,.0f}"]
        rows.append([own.name, *counts, *(f"{step.us:,.1f}" for step in steps[1:])])
    kb = sum(step.n_bytes for step in exact.steps) / 1e3
    rows.append(["all", f"{exact.us:,.1f}", f"{kb:,.0f}", "", *(f"{report.us:,.1f}" for report in reports[1:])])
    yield from _table(header, rows)
    yield "Steps of the traversal superblock in compiled code, the least of its rounds. kB: of exact search; items:"
    yield "the terms, postings, superblocks or pages that it goes through."


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _microseconds(latency: Latency) -> list[str]:
    return [f"{value:,.0f}" for value in (latency.mean_us, latency.p50_us, latency.p95_us, latency.p99_us)]


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield aligned lines: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
