"""The value that an evaluation returns: means, values of every query, comparisons, and a table to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lsr.errors import UsageError
from lsr.eval.measures.significance import Comparison, compare
from lsr.eval.reports.results import Result
from lsr.eval.reports.table import EvaluationTable, html_table, mean_by_system
from lsr.io.fork_safe import cached_property


@dataclass(frozen=True)
class SystemResult:
    """One system's results, a dataset each, in the order of the evaluation."""

    name: str
    measures: tuple[str, ...]
    results: tuple[Result, ...]

    @cached_property
    def datasets(self) -> Mapping[str, Result]:
        """The result of each dataset, by the dataset's name."""
        return {result.dataset.name: result for result in self.results}

    @cached_property
    def mean(self) -> Mapping[str, float]:
        """The mean of each measure over the datasets; the parts of CQADupStack count as one."""
        return mean_by_system(self.results, [self.name], self.measures)[self.name][1]

    @property
    def per_query(self) -> Mapping[str, Mapping[str, float]]:
        """The value of every query, by measure and query_id.

        Raises UsageError for several datasets, whose query_ids may be the same: take one of `datasets`.
        """
        if len(self.results) != 1:
            raise UsageError(f"{self.name} has {len(self.results)} datasets: take .datasets[NAME].per_query")
        return self.results[0].per_query or {}

    def __repr__(self) -> str:
        return repr(EvaluationResult(self.measures, self.results))

    def _repr_html_(self) -> str:
        return EvaluationResult(self.measures, self.results)._repr_html_()


@dataclass(frozen=True)
class EvaluationResult:
    """The results of an evaluation, in the order in which they were made; the first measure decides comparisons.

    `mean` and `per_query` are there where one system was measured; of several, `systems` has each by its name.
    """

    measures: tuple[str, ...]
    results: tuple[Result, ...]

    @cached_property
    def systems(self) -> Mapping[str, SystemResult]:
        """Each system's results, by its name."""
        by_name: dict[str, list[Result]] = {}
        for result in self.results:
            by_name.setdefault(result.system, []).append(result)
        return {name: SystemResult(name, self.measures, tuple(results)) for name, results in by_name.items()}

    @property
    def mean(self) -> Mapping[str, float]:
        """The mean of each measure over the datasets. Raises UsageError for several systems."""
        return self._only("mean").mean

    @property
    def per_query(self) -> Mapping[str, Mapping[str, float]]:
        """The value of every query, by measure and query_id. Raises UsageError for several systems or datasets."""
        return self._only("per_query").per_query

    @cached_property
    def significance(self) -> tuple[Comparison, ...]:
        """Paired tests of every two systems on every dataset by the first measure, corrected for their number."""
        return tuple(compare(self.values, measure=self.measures[0]))

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
        """The first measure's value of every query, by dataset, system and query_id."""
        values: dict[str, dict[str, Mapping[str, float]]] = {}
        for result in self.results:
            per_query = result.per_query or {}
            values.setdefault(result.dataset.name, {})[result.system] = per_query[self.measures[0]]
        return values

    def means(self) -> Mapping[str, tuple[int, Mapping[str, float]]]:
        """Return for each system the number of datasets that all systems share, and its means over them."""
        return mean_by_system(self.results, list(self.systems), self.measures)

    def _only(self, name: str) -> SystemResult:
        if len(self.systems) != 1:
            raise UsageError(f"{len(self.systems)} systems were measured: take .systems[NAME].{name}, of one of"
                             f" {', '.join(self.systems)}")  # fmt: skip
        return next(iter(self.systems.values()))

    def _table(self) -> EvaluationTable:
        return EvaluationTable([result.dataset.name for result in self.results], self.systems, self.measures)

    def __repr__(self) -> str:
        table = self._table()
        return "\n".join([table.header(), *map(table.row, self.results), *table.means(self.results)])

    def _repr_html_(self) -> str:
        return html_table(self._table(), self.results)
