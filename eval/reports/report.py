"""What an evaluation leaves behind: results gathered, compared, printed as tables or JSON, written as files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsr.eval.data.runs import rankings_of, write_run
from lsr.eval.measures.significance import Comparison, compare, per_query_differences
from lsr.eval.reports.results import Result, write_result
from lsr.eval.reports.table import comparison_lines, mean_by_system
from lsr.io.dataclass_json import to_json


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one evaluation, in the order in which they were made; `measures[0]` decides comparisons."""

    measures: tuple[str, ...]
    results: list[Result] = field(default_factory=list)

    @property
    def systems(self) -> list[str]:
        """The systems, in the order in which they came."""
        return list(dict.fromkeys(result.system for result in self.results))

    def comparisons(self) -> list[Comparison]:
        """Compare every pair of systems on every dataset by the first measure."""
        return compare(self._values(), measure=self.measures[0])

    def json_lines(self, *, per_query: bool) -> Iterator[str]:
        """Yield a JSON object for each mean and each comparison."""
        for system, (n_datasets, values) in mean_by_system(self.results, self.systems, self.measures).items():
            if n_datasets > 1:
                yield _dump({"kind": "mean", "system": system, "n_datasets": n_datasets, "measures": values})
        for comparison in self.comparisons():
            entry = {"kind": "comparison", **to_json(comparison)}
            if per_query:
                by_system = self._values()[comparison.dataset]
                entry["differences"] = per_query_differences(by_system[comparison.a], by_system[comparison.b])
            yield _dump(entry)

    def comparison_lines(self) -> list[str]:
        """Return the comparisons as lines to read."""
        return comparison_lines(self.comparisons())

    def per_query_lines(self) -> Iterator[str]:
        """Yield lines between tabs: dataset, query_id, each system's value by the first measure.

        Of two systems or more, the last one's value less the first's comes too, the largest gains first.
        """
        yield "\t".join(["dataset", "query_id", *self.systems, *(["difference"] if len(self.systems) > 1 else [])])
        for dataset, by_system in self._values().items():
            systems = list(by_system)
            first, last = by_system[systems[0]], by_system[systems[-1]]
            for query_id in sorted(first, key=lambda q: (first[q] - last[q], q)):
                values = [
                    f"{by_system[system][query_id]:.4f}" if system in by_system else "" for system in self.systems
                ]
                change = [f"{last[query_id] - first[query_id]:+.4f}"] if len(self.systems) > 1 else []
                yield "\t".join([dataset, query_id, *values, *change])

    def write_plots(self, folder: Path) -> list[Path]:
        """Draw the wins and losses of every comparison; return the files."""
        from lsr.eval.reports.plots import plot_wins_and_losses

        paths = []
        values = self._values()
        for c in self.comparisons():
            path = folder / f"{file_name(c.dataset, c.a, 'against', c.b)}.png"
            differences = per_query_differences(values[c.dataset][c.a], values[c.dataset][c.b])
            plot_wins_and_losses(differences, path, a=c.a, b=c.b, measure=c.measure, dataset=c.dataset)
            paths.append(path)
        return paths

    def _values(self) -> dict[str, dict[str, Mapping[str, float]]]:
        values: dict[str, dict[str, Mapping[str, float]]] = {}
        for result in self.results:
            per_query = result.per_query or {}
            values.setdefault(result.dataset.name, {})[result.system] = per_query[self.measures[0]]
        return values


def result_json(result: Result, *, per_query: bool) -> str:
    """Return a result as one line of JSON, its queries only where asked for."""
    return _dump({"kind": "result", **to_json(result if per_query else replace(result, per_query=None))})


def save_result(result: Result, folder: Path, *, per_query: bool) -> Path:
    """Write a result file into a folder, named after dataset, split and system; return its path."""
    path = folder / f"{file_name(result.dataset.name, result.dataset.split, result.system)}.json"
    write_result(path, result if per_query else replace(result, per_query=None))
    return path


def save_run(result: Result, run: Mapping[str, Mapping[str, float]], folder: Path) -> Path:
    """Write the run that a result was measured on, as a compressed TREC run; return its path."""
    path = folder / f"{file_name(result.dataset.name, result.dataset.split, result.system)}.trec.gz"
    write_run(path, rankings_of(run), tag=file_name(result.system))
    return path


def file_name(*parts: str) -> str:
    """Return a file name made of names that may hold anything."""
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part).strip("._-") or "x" for part in parts if part != "-")


def _dump(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False)
