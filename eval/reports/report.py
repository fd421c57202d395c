"""An evaluation on paper: JSON lines, lines between tabs, result files, runs and plots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.eval.data.runs import rankings_of, write_run
from lsr.eval.measures.significance import per_query_differences
from lsr.eval.reports.evaluation_result import EvaluationResult
from lsr.eval.reports.results import Result, write_result
from lsr.io.dataclass_json import to_json
from lsr.io.printable import json_line


def json_lines(found: EvaluationResult, *, per_query: bool) -> Iterator[str]:
    """Yield a JSON object for each mean and each comparison."""
    for system, (n_datasets, values) in found.means().items():
        if n_datasets > 1:
            yield _dump({"kind": "mean", "system": system, "n_datasets": n_datasets, "measures": values})
    for comparison in found.significance:
        entry = {"kind": "comparison", **to_json(comparison)}
        if per_query:
            by_system = found.values[comparison.dataset]
            entry["differences"] = per_query_differences(by_system[comparison.a], by_system[comparison.b])
        yield _dump(entry)


def per_query_lines(found: EvaluationResult) -> Iterator[str]:
    """Yield lines between tabs: dataset, query_id, each system's value by the first measure.

    Of two systems or more, the last one's value less the first's comes too, the largest gains first.
    """
    names = list(found.systems)
    yield "\t".join(["dataset", "query_id", *names, *(["difference"] if len(names) > 1 else [])])
    for dataset, by_system in found.values.items():
        systems = list(by_system)
        first, last = by_system[systems[0]], by_system[systems[-1]]
        for query_id in sorted(first, key=lambda q: (first[q] - last[q], q)):
            values = [f"{by_system[system][query_id]:.4f}" if system in by_system else "" for system in names]
            change = [f"{last[query_id] - first[query_id]:+.4f}"] if len(names) > 1 else []
            yield "\t".join([dataset, query_id, *values, *change])


def write_plots(found: EvaluationResult, folder: Path) -> list[Path]:
    """Draw the wins and losses of every comparison; return the files."""
    from lsr.eval.reports.plots import plot_wins_and_losses

    paths = []
    for c in found.significance:
        path = folder / f"{file_name(c.dataset, c.a, 'against', c.b)}.png"
        values = found.values[c.dataset]
        differences = per_query_differences(values[c.a], values[c.b])
        plot_wins_and_losses(differences, path, a=c.a, b=c.b, measure=c.measure, dataset=c.dataset)
        paths.append(path)
    return paths


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
    return json_line(entry, allow_nan=False)
