"""What `lsr eval` prints and writes: a row as soon as it is there, and the rest at the end."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lsr.cli.common import note

if TYPE_CHECKING:
    from lsr.eval.data.runs import Run
    from lsr.eval.reports.report import Report
    from lsr.eval.reports.results import Result
    from lsr.eval.reports.table import EvaluationTable


class Printer:
    """Prints a row as soon as it is there, and the rest at the end."""

    def __init__(self, args: argparse.Namespace, report: Report, table: EvaluationTable) -> None:
        self._args = args
        self._report = report
        self._table = table

    def add(self, result: Result, found: Run | None = None) -> None:
        """Print one result; write its file, and the run's where it was made here."""
        from lsr.eval.reports.report import result_json, save_result, save_run

        if self._args.json:
            print(result_json(result, per_query=self._args.per_query), flush=True)
        else:
            if not self._report.results:
                print(self._table.header())
            print(self._table.row(result), flush=True)
        self._report.results.append(result)
        if result.n_queries_without_results:
            note(f"{result.system}: {result.n_queries_without_results} of {result.dataset.n_queries} queries of "
                 f"{result.dataset.name} have no results and count 0")  # fmt: skip
        if result.n_queries_not_judged:
            note(f"{result.system}: {result.n_queries_not_judged} queries of the run have no judgements: left out")
        if result.identical_ids_dropped:
            note(f"{result.system}: {result.identical_ids_dropped} hits with the query's own id dropped")
        if self._args.output:
            save_result(result, self._args.output, per_query=self._args.per_query)
            if found is not None:
                save_run(result, found, self._args.output)

    def finish(self) -> None:
        """Print means, costs, comparisons and, if asked for, every query; draw the plots."""
        report = self._report
        if self._args.json:
            for line in report.json_lines(per_query=self._args.per_query):
                print(line)
        else:
            for line in self._table.means(report.results):
                print(line)
            for block in (self._table.costs(report.results), report.comparison_lines()):
                if block:
                    print("", *block, sep="\n")
            if self._args.per_query:
                print("", *report.per_query_lines(), sep="\n")
        if self._args.output:
            plots = report.write_plots(self._args.output)
            note(f"{len(report.results)} result files and {len(plots)} plots in {self._args.output}")
