"""Output of `lsr eval`: a row as soon as a system is measured; means, costs and comparisons at the end."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsr.cli.common import note
from lsr.output.terminal import say, say_row

if TYPE_CHECKING:
    from lsr.eval.data.datasets import CorpusSummary, Dataset
    from lsr.eval.data.runs import Run
    from lsr.eval.reports.results import Result
    from lsr.eval.reports.table import EvaluationTable

HOLD_THEIR_QUERIES = ("arguana", "quora")
"""Datasets whose queries are documents, too."""


class Printer:
    """Prints results and writes their files. groups: names of two legs and of their fusions."""

    def __init__(
        self,
        args: argparse.Namespace,
        measures: tuple[str, ...],
        table: EvaluationTable,
        *,
        groups: Sequence[Sequence[str]] = (),
    ) -> None:
        self._args = args
        self._measures = measures
        self._table = table
        self._groups = groups
        self._results: list[Result] = []
        self._limit_noted = False

    def begin(self, dataset: Dataset, summary: CorpusSummary) -> None:
        """Note the oddities of a dataset."""
        name = dataset.name
        if summary.n_unknown_judged:
            note(f"{name}: {summary.n_unknown_judged} judged documents are not in the corpus: none can find them")
        if summary.n_without_text:
            note(f"{name}: {summary.n_without_text} of {summary.n_docs} documents have no text, only a title")
        if not self._args.drop_identical_ids and name in HOLD_THEIR_QUERIES:
            note(f"{name} holds its queries as documents; published figures drop them: --drop-identical-ids")

    def add(self, result: Result, found: Run | None = None) -> None:
        """Print one result; write its file, and the run's where it was made here."""
        from lsr.eval.reports.report import result_json, save_result, save_run

        if self._args.json:
            say(result_json(result, per_query=self._args.per_query), flush=True)
        else:
            if not self._results:
                say(*self._table.header().splitlines())
            say(self._table.row(result), flush=True)
        self._results.append(result)
        self._note(result)
        if self._args.output:
            save_result(result, self._args.output, per_query=self._args.per_query)
            if found is not None:
                save_run(result, found, self._args.output)

    def _note(self, result: Result) -> None:
        from lsr.eval.systems.hybrid import losses

        if result.n_queries_without_results:
            note(f"{result.system}: {result.n_queries_without_results} of {result.dataset.n_queries} queries of "
                 f"{result.dataset.name} have no results and count 0")  # fmt: skip
        if result.n_queries_not_judged:
            note(f"{result.system}: {result.n_queries_not_judged} queries of the run have no judgements: left out")
        if result.identical_ids_dropped:
            note(f"{result.system}: {result.identical_ids_dropped} hits with the query's own id dropped")
        about = result.encoder or {}
        limit = _tokens_read(about)
        if limit is not None and "passages" not in about and not self._limit_noted:
            self._limit_noted = True
            note(f"{result.system}: of each document the first {limit:,} tokens are read, as in published results; "
                 "--passages also measures documents read whole")  # fmt: skip
        if "learned_on" in about:
            note(f"{result.dataset.name}: weights learned on {about['learned_on']} are "
                 f"{', '.join(f'{weight:.3f}' for weight in about['weights'])}")  # fmt: skip
        of_dataset = {r.system: r for r in self._results if r.dataset.name == result.dataset.name}
        for group in self._groups:
            if group[-1] == result.system:
                for loss in losses([of_dataset[name] for name in group], self._measures[0]):
                    note(f"warning: {loss}")

    def finish(self) -> None:
        """Print means, costs, comparisons and, if asked for, every query; draw the plots."""
        from lsr.eval.reports.evaluation_result import EvaluationResult
        from lsr.eval.reports.report import json_lines, per_query_lines, write_plots
        from lsr.eval.reports.table import comparison_lines

        found = EvaluationResult(self._measures, tuple(self._results))
        if self._args.json:
            for line in json_lines(found, per_query=self._args.per_query):
                say(line)
        else:
            for line in self._table.means(found.results):
                say(line)
            for block in (self._table.costs(found.results), comparison_lines(found.significance)):
                if block:
                    say("", *block)
            if self._args.per_query:
                say("")
                for line in per_query_lines(found):
                    say_row(*line.split("\t"))
        if self._args.output:
            plots = write_plots(found, self._args.output)
            note(f"{len(found.results)} result files and {len(plots)} plots in {self._args.output}")


def _tokens_read(description: Mapping[str, Any]) -> int | None:
    """Return the tokens that an encoder reads of a document, by its description; None: all."""
    settings = description.get("settings")
    document = settings.get("document") if isinstance(settings, Mapping) else None
    return document.get("max_length") if isinstance(document, Mapping) else None
