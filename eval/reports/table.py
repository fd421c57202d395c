"""The tables of an evaluation: effectiveness, a row as each dataset is done, and costs."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from lsr.eval.measures.significance import Comparison
from lsr.eval.reports.results import Latency, Result

_COSTS = ("terms/doc", "terms/query", "FLOPS", "index MB", "encode µs p50/p99", "search µs p50/p99", "QPS")


class EvaluationTable:
    """A table whose widths are known before its first row, so that rows can be printed one by one."""

    def __init__(self, datasets: Iterable[str], systems: Iterable[str], measures: Sequence[str]) -> None:
        self._systems = list(systems)
        self._measures = list(measures)
        self._name_width = max(map(len, [*datasets, "dataset", "mean of 13"]))
        self._system_width = max(map(len, [*self._systems, "system"]))

    def header(self) -> str:
        """Return the line of column names, and the line under it."""
        names = self._measure_line(*self.column_names())
        return f"{names}\n{'-' * len(names)}"

    def column_names(self) -> tuple[str, str, list[str]]:
        """Return the names of the first two columns, and those of the measures."""
        return "dataset", "system", self._measures

    def row(self, result: Result) -> str:
        """Return the line of one result's measures."""
        return self._measure_line(*self.cells(result))

    def cells(self, result: Result) -> tuple[str, str, list[str]]:
        """Return the cells of one result: dataset, system, and the measures."""
        return result.dataset.name, result.system, [f"{result.measures[measure]:.4f}" for measure in self._measures]

    def means(self, results: Sequence[Result]) -> list[str]:
        """Return a line a system: the mean over the datasets that every system has, if there are two or more."""
        return [self._measure_line(*cells) for cells in self.mean_cells(results)]

    def mean_cells(self, results: Sequence[Result]) -> list[tuple[str, str, list[str]]]:
        """Return the cells of the means, as `means` has them."""
        return [
            (f"mean of {n_datasets}", system, [f"{values[m]:.4f}" for m in self._measures])
            for system, (n_datasets, values) in mean_by_system(results, self._systems, self._measures).items()
            if n_datasets > 1
        ]

    def costs(self, results: Sequence[Result]) -> list[str]:
        """Return the lines of the second table, the costs of each result; none where nothing was timed."""
        timed = [result for result in results if result.efficiency is not None]
        if not timed:
            return []
        names = self._cost_line("dataset", "system", _COSTS)
        rows = [self._cost_line(result.dataset.name, result.system, _costs(result)) for result in timed]
        return [names, "-" * len(names), *rows]

    def _measure_line(self, dataset: str, system: str, cells: Sequence[str]) -> str:
        return self._line(dataset, system, cells, [max(7, len(measure)) for measure in self._measures])

    def _cost_line(self, dataset: str, system: str, cells: Sequence[str]) -> str:
        return self._line(dataset, system, cells, [max(9, len(cost)) for cost in _COSTS])

    def _line(self, dataset: str, system: str, cells: Sequence[str], widths: Sequence[int]) -> str:
        right = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return f"{dataset.ljust(self._name_width)}  {system.ljust(self._system_width)}  {right}"


def html_table(table: EvaluationTable, results: Sequence[Result]) -> str:
    """Return the table of effectiveness as HTML, for notebooks; names are escaped."""
    rows = [table.column_names(), *map(table.cells, results), *table.mean_cells(results)]
    lines = []
    for number, (dataset, system, values) in enumerate(rows):
        cell = "td" if number else "th"
        texts = "".join(f"<{cell}>{html.escape(text)}</{cell}>" for text in (dataset, system))
        numbers = "".join(f'<{cell} style="text-align: right">{html.escape(value)}</{cell}>' for value in values)
        lines.append(f"<tr>{texts}{numbers}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _costs(result: Result) -> list[str]:
    costs = result.efficiency
    assert costs is not None
    return [
        _number(costs.document_terms, ".1f"),
        _number(costs.query_terms, ".1f"),
        _number(costs.flops, ".3f"),
        _number(None if costs.index_size_bytes is None else costs.index_size_bytes / 1e6, ".1f"),
        _times(costs.encode),
        _times(costs.search),
        "-" if costs.qps is None else f"{costs.qps:.0f} ({costs.threads}t)",
    ]


def _times(latency: Latency | None) -> str:
    return "-" if latency is None else f"{latency.p50_us:.0f}/{latency.p99_us:.0f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def mean_by_system(
    results: Sequence[Result], systems: Sequence[str], measures: Sequence[str]
) -> dict[str, tuple[int, dict[str, float]]]:
    """Return for each system the number of datasets and the mean of each measure over them.

    Only datasets that every system was measured on count. The parts of a collection of collections
    (`cqadupstack/android`, …) are averaged first and count as one, as BEIR does it.
    """
    shared = set.intersection(*({r.dataset.name for r in results if r.system == system} for system in systems))
    means = {}
    for system in systems:
        parts: dict[str, list[Mapping[str, float]]] = {}
        for result in results:
            if result.system == system and result.dataset.name in shared:
                parts.setdefault(whole_name(result.dataset.name), []).append(result.measures)
        values = {
            measure: _mean([_mean([metrics[measure] for metrics in part]) for part in parts.values()])
            for measure in measures
        }
        means[system] = (len(parts), values)
    return means


def whole_name(dataset: str) -> str:
    """Return the name under which a dataset counts in a mean: `cqadupstack` for each of its parts."""
    return "cqadupstack" if dataset.startswith("cqadupstack/") else dataset


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Return readable lines for the comparisons of systems, or none."""
    if not comparisons:
        return []
    plural = "s" if len(comparisons) > 1 else ""
    title = f"{comparisons[0].measure}: paired tests over queries, two-sided, p corrected (Holm)"
    lines = [f"{title} for {len(comparisons)} comparison{plural}; * where both are below 0.05"]
    width = max(len(f"{c.dataset}: {c.b} − {c.a}") for c in comparisons)
    lines += [
        f"  {f'{c.dataset}: {c.b} − {c.a}'.ljust(width)}  {c.difference:+.4f}"
        f"  {c.wins} won, {c.ties} tied, {c.losses} lost"
        f"  {_p(c.p_randomised_holm)} (randomisation), {_p(c.p_t_holm)} (t)"
        f"{'  *' if max(c.p_randomised_holm, c.p_t_holm) < 0.05 else ''}"
        for c in comparisons
    ]
    return lines


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"
