"""The protocol of a system under evaluation: a dataset's queries in, a run with its description and costs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Run
from lsr.eval.reports.results import Efficiency

OUR_TIES = "scores made strictly decreasing in the system's own order (equal scores: earlier document first)"
TREC_TIES = "as trec_eval: scores as float32, equal ones by doc_id descending"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SystemRun:
    """Rankings of a dataset's queries, with all that a result file says of how they were made.

    run: scores by query_id and doc_id. description: JSON values that identify the system, as an encoder's description
    does. costs: sizes and times; None where nothing was measured. minimum: the least score that the system can give;
    None where it isn't known. ties: the rule by which equal scores were ordered. approximate: settings of an
    approximate search; None for an exact one.
    """

    run: Run
    description: Mapping[str, Any]
    costs: Efficiency | None = None
    minimum: float | None = None
    ties: str = TREC_TIES
    approximate: str | None = None


class System(Protocol):
    """Anything whose rankings are measured: an index, a fusion, another engine. Names are unique in an experiment."""

    @property
    def name(self) -> str:
        """The name in tables and files."""
        ...

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Return the k best documents of each of the dataset's queries."""
        ...


class Recent(Generic[T]):
    """A memo of values made for the two most recent datasets: one is measured, one is learned on.

    Systems share their parts by it: a fusion takes the runs that its legs were measured with.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Dataset, Any, T]] = []

    def get(self, dataset: Dataset, make: Callable[[], T], *, key: Any = None) -> T:
        """Return the value of this dataset object and key, made now unless it is kept."""
        for kept, of_key, value in self._kept:
            if kept is dataset and of_key == key:
                return value
        value = make()
        seen = [entry for entry in self._kept if entry[0] is dataset]
        others = [entry for entry in self._kept if entry[0] is not dataset]
        last = others[-1][0] if others else None
        self._kept = [*(entry for entry in others if entry[0] is last), *seen, (dataset, key, value)]
        return value

    def forget(self) -> None:
        """Drop all values."""
        self._kept = []
