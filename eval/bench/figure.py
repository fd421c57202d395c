"""A benchmark as a picture: latency against recall, or against the number of documents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.eval.bench.report import BenchReport, CollectionReport, Measurement
from lsr.eval.bench.table import OURS
from lsr.eval.reports.plots import new_figure, save_figure

OWN_COLOUR = "#c8553d"
COLOURS = ("#1b7f79", "#3b6ea5", "#8a5a9e", "#a08a2d", "#5b6770")
EXACT, APPROXIMATE = "o", "^"
"""Filled circles for engines that missed nothing, triangles for those that did."""
LEGEND = "● missed nothing   ▲ missed documents"
JOINED = 0.001
"""Difference in recall from which the points of a family are joined: they trade latency for it."""
LABEL_GAP = 0.05
"""Least distance of two labels, as a share of the panel's height."""


def draw(report: BenchReport, path: Path) -> None:
    """Draw the picture that fits the report. Raises LsrError if nothing was measured or the file can't be written."""
    if not report.collections:
        raise LsrError(f"{path}: nothing was measured, so there is nothing to draw")
    if len(report.collections) == 1:
        _draw_recall(report.collections[0], report, path)
    else:
        _draw_sizes(report, path)


def _colours(collection: CollectionReport) -> dict[str, str]:
    """Return a colour for each engine's name: one for a family, ours its own."""
    families = dict.fromkeys(_family(m.engine) for m in collection.measurements if m.engine not in OURS)
    of_family = {family: COLOURS[i % len(COLOURS)] for i, family in enumerate(families)}
    return {m.engine: OWN_COLOUR if m.engine in OURS else of_family[_family(m.engine)] for m in collection.measurements}


def _family(name: str) -> str:
    return name.split(",")[0]


def _ks(collection: CollectionReport) -> list[int]:
    return sorted({m.k for m in collection.measurements})


def _draw_recall(collection: CollectionReport, report: BenchReport, path: Path) -> None:
    """Draw a panel for each k: recall to the right, mean latency upwards, both better towards the lower right."""
    ks, colours = _ks(collection), _colours(collection)
    figure, panels = _panels(len(ks))
    for k, axes in zip(ks, panels, strict=True):
        measured = [m for m in collection.measurements if m.k == k]
        lowest = min(min(m.recall for m in measured), 0.99)
        width = 1 - lowest
        _fit(axes, [m.latency.mean_us for m in measured])
        axes.set_xlim(lowest - 0.08 * width, 1 + 1.0 * width)
        axes.set_xticks(_recall_ticks(lowest))
        axes.axvline(1.0, color="#bbbbbb", linewidth=0.8, zorder=0)
        for family in dict.fromkeys(_family(m.engine) for m in measured):
            line = sorted((m for m in measured if _family(m.engine) == family), key=lambda m: m.recall)
            if all(b.recall - a.recall > JOINED for a, b in pairwise(line)):
                axes.plot(
                    [m.recall for m in line], [m.latency.mean_us for m in line],
                    color=colours[line[0].engine], linewidth=0.8, alpha=0.6,
                )  # fmt: skip
        for m in measured:
            axes.plot(
                m.recall, m.latency.mean_us, EXACT if m.exact else APPROXIMATE,
                color=colours[m.engine], markersize=9 if m.engine in OURS else 6.5, zorder=3,
            )  # fmt: skip
        _label_column(axes, measured, colours, 1 + 0.06 * width)
        axes.set_title(f"k = {k:,}", loc="left", fontsize=11)
        axes.set_xlabel("recall of the exact top k")
    panels[0].set_ylabel("mean latency, µs a query, one thread")
    title = f"{collection.name}: {collection.n_docs:,} documents, {collection.n_queries:,} queries; {_machine(report)}"
    figure.suptitle(f"{title}\n{LEGEND}", x=0.01, ha="left", fontsize=10)
    save_figure(figure, path)


def _panels(n: int) -> tuple[Any, list[Any]]:
    figure, axes = new_figure(4.8 * n + 0.4, 4.8)
    axes.remove()
    panels = list(figure.subplots(1, n, squeeze=False)[0])
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _recall_ticks(lowest: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0) if (1 - lowest) / s <= 5)
    return [1 - i * step for i in range(math.floor((1 - lowest) / step + 1e-9) + 1)][::-1]


def _fit(axes: Any, values: Sequence[float]) -> None:
    """Give a logarithmic axis a little room on both sides, and plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.set_ylim(min(values) / 1.35, max(values) * 1.35)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", left=False)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)


def _label_column(axes: Any, measured: Sequence[Measurement], colours: dict[str, str], x: float) -> None:
    """Write the names in a column at x, each near its height as room permits, with a leader."""
    ordered = sorted(measured, key=lambda m: m.latency.mean_us)
    for m, y in zip(ordered, spread([m.latency.mean_us for m in ordered], axes.get_ylim()), strict=True):
        text = f"{m.engine}  {m.latency.mean_us:,.0f}"
        weight = "bold" if m.engine in OURS else "normal"
        axes.plot([m.recall, x], [m.latency.mean_us, y], color=colours[m.engine], linewidth=0.5, alpha=0.45, zorder=1)
        axes.text(x, y, f" {text}", color=colours[m.engine], fontsize=8, va="center", fontweight=weight, clip_on=False)


def spread(values: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """Return heights on a logarithmic axis as near to the ascending values as LABEL_GAP between them allows."""
    low, high = map(math.log, limits)
    gap = LABEL_GAP * (high - low)
    wanted = [math.log(value) for value in values]
    placed = list(wanted)
    # Push apart from the bottom up, then back from the top down where that left the panel.
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    ceiling = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return [math.exp(height) for height in placed]


def _draw_sizes(report: BenchReport, path: Path) -> None:
    """Draw a panel for each k: the number of documents to the right, mean latency upwards."""
    collections = sorted(report.collections, key=lambda c: c.n_docs)
    largest = collections[-1]
    ks, colours = _ks(largest), _colours(largest)
    figure, panels = _panels(len(ks))
    for k, axes in zip(ks, panels, strict=True):
        points = [(c.n_docs, m) for c in collections for m in c.measurements if m.k == k]
        _fit(axes, [m.latency.mean_us for _, m in points])
        axes.set_xscale("log")
        sizes = [c.n_docs for c in collections]
        axes.set_xlim(sizes[0] / 1.05, sizes[-1] * (sizes[-1] / sizes[0]) ** 1.0)
        axes.set_xticks(sizes, [_short(size) for size in sizes])
        axes.minorticks_off()
        last = []
        for name in dict.fromkeys(m.engine for _, m in points):
            line = [(n_docs, m) for n_docs, m in points if m.engine == name]
            assert all(a[0] < b[0] for a, b in pairwise(line))
            axes.plot(
                [n_docs for n_docs, _ in line], [m.latency.mean_us for _, m in line],
                marker=EXACT if line[-1][1].exact else APPROXIMATE, markersize=5, color=colours[name],
                linewidth=2.2 if name in OURS else 1.2, zorder=3 if name in OURS else 2,
            )  # fmt: skip
            last.append(line[-1][1])
        _label_ends(axes, last, colours, sizes[-1], (sizes[-1] / sizes[0]) ** 0.05)
        axes.set_title(f"k = {k:,}", loc="left", fontsize=11)
        axes.set_xlabel("documents")
    panels[0].set_ylabel("mean latency, µs a query, one thread")
    title = f"{largest.name}: {largest.n_queries:,} queries; {_machine(report)}"
    figure.suptitle(f"{title}\n{LEGEND} (recall)", x=0.01, ha="left", fontsize=10)
    save_figure(figure, path)


def _label_ends(axes: Any, last: list[Measurement], colours: dict[str, str], x: float, step: float) -> None:
    """Write the names behind the lines' ends."""
    last.sort(key=lambda m: m.latency.mean_us)
    for m, y in zip(last, spread([m.latency.mean_us for m in last], axes.get_ylim()), strict=True):
        axes.plot([x, x * step], [m.latency.mean_us, y], color=colours[m.engine], linewidth=0.5, alpha=0.5)
        label = f" {m.engine}" + ("" if m.exact else f" ({m.recall:.3f})")
        weight = "bold" if m.engine in OURS else "normal"
        axes.text(x * step, y, label, color=colours[m.engine], fontsize=8, va="center", fontweight=weight)


def _short(n_docs: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if n_docs >= size:
            return f"{n_docs / size:.3g}{unit}"
    return str(n_docs)


def _machine(report: BenchReport) -> str:
    return f"{report.provenance.hardware.cpu}, {report.provenance.date[:10]}"
