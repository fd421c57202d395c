"""A benchmark's numbers as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsr.eval.bench import own
from lsr.eval.bench.report import BenchReport, CollectionReport, fastest_exact_peer

OURS = frozenset(setting.name for setting in (*own.SETTINGS, own.NOT_REORDERED))


def lines(report: BenchReport) -> Iterator[str]:
    """Yield the lines of all tables."""
    for collection in report.collections:
        yield from _collection(collection)
    hardware = report.provenance.hardware
    yield ""
    yield f"{hardware.cpu}, {hardware.cores} cores, {hardware.memory_bytes / 1e9:.0f} GB; {report.provenance.date}"
    yield f"{report.protocol} Rounds: {report.rounds}."


def _collection(report: CollectionReport) -> Iterator[str]:
    yield ""
    yield (
        f"{report.name}: {report.n_docs:,} documents, {report.terms_a_document:.0f} terms each; {report.n_queries:,} "
        f"queries, {report.terms_a_query:.1f} terms each, {report.postings_a_document_and_query:.2f} postings a document"
    )
    yield ""
    yield from _table(
        ["index", "version", "build s", "peak MB", "MB", "B/posting", "open ms", "first ms", "resident MB"],
        [
            [
                index.engine,
                index.version,
                f"{index.build.build_s:.1f}" + ("*" if index.built_earlier else ""),
                _mb(index.build.peak_bytes),
                _mb(index.size_bytes),
                f"{index.bytes_a_posting:.2f}",
                f"{index.open.open_ms:.1f}",
                f"{index.open.first_query_ms:.1f}",
                _mb(index.open.resident_bytes),
            ]
            for index in report.indexes
        ],
    )
    if any(index.built_earlier for index in report.indexes):
        yield "* measured when an earlier run built the index"
    if not report.peers_order_is_ours:
        yield "the peers' indexes hold the documents in the order of an earlier index of ours"
    for k in sorted({m.k for m in report.measurements}):
        yield ""
        yield from _latencies(report, k)
    yield ""
    yield from _ours(report)
    for compared in report.traversals:
        yield ""
        yield from _table(
            [f"traversal, k = {compared.k}", "mean µs", "p50", "p95", "p99", "p99/p50"],
            [
                [name, f"{t.mean_us:,.0f}", f"{t.p50_us:,.0f}", f"{t.p95_us:,.0f}", f"{t.p99_us:,.0f}", f"{t.p99_us / t.p50_us:.1f}"]
                for name, t in (*compared.latencies.items(), ("the best of each query", compared.best), ("the planner", compared.planner))
            ],
        )  # fmt: skip
        chosen = ", ".join(f"{name} {count}" for name, count in sorted(compared.chosen.items()))
        yield (
            f"chosen: {chosen}; within 10 % of the best on {compared.within_a_tenth:.1%} of queries, "
            f"{compared.lost_us:.1f} µs lost in the mean"
        )


def _latencies(report: CollectionReport, k: int) -> Iterator[str]:
    rows = []
    for m in (m for m in report.measurements if m.k == k):
        t = m.latency
        rows.append(
            [m.engine, *(f"{v:,.0f}" for v in (t.mean_us, t.p50_us, t.p95_us, t.p99_us)), f"{m.recall:.4f}", f"{m.times_ours:.2f}"]
        )  # fmt: skip
    yield from _table([f"k = {k}", "mean µs", "p50", "p95", "p99", "recall", "× ours"], rows)
    fastest = fastest_exact_peer(report, k, OURS)
    if fastest is not None:
        yield f"fastest exact peer: {fastest.engine}; ours is {fastest.times_ours:.2f} times as fast"


def _ours(report: CollectionReport) -> Iterator[str]:
    threads = sorted(report.throughput[0].qps)
    header = ["k", *(f"QPS, {n} thread{'s' if n > 1 else ''}" for n in threads), "ratio", "postings", "superblocks", "bounded", "scored", "traversals"]  # fmt: skip
    rows = []
    for touched, throughput in zip(report.touched, report.throughput, strict=True):
        qps = [throughput.qps[n] for n in threads]
        rows.append(
            [
                str(touched.k),
                *(f"{value:,.0f}" for value in qps),
                f"{qps[-1] / qps[0]:.2f}",
                f"{touched.postings:,.0f}",
                f"{touched.superblocks:,}",
                f"{touched.superblocks_bounded:,.1f}",
                f"{touched.superblocks_scored:,.1f}",
                ", ".join(f"{name} {count}" for name, count in sorted(touched.traversals.items())),
            ]
        )
    yield from _table(header, rows)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield aligned lines: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
