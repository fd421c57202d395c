"""Account of searches: the time of each step of the two-level traversal, and the bytes that it must move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lsr.eval.bench.own import OwnSearch
from lsr.query.engine.approximate import Approximate
from lsr.types import SparseBatch


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a search, means over the queries.

    us: microseconds, of each query the least of the rounds. n_bytes: that the step has to read, at least. n_items:
    terms, postings, superblocks or pages that it goes through.
    """

    name: str
    us: float
    n_bytes: float
    n_items: float


@dataclass(frozen=True, slots=True)
class StepsReport:
    """The steps of a search at one k. settings: those of an approximate search, empty for an exact one."""

    k: int
    settings: str
    steps: tuple[Step, ...]

    @property
    def us(self) -> float:
        """Microseconds of all steps together."""
        return sum(step.us for step in self.steps)


def account_steps(
    search: OwnSearch, queries: SparseBatch, k: int, *, rounds: int, approximate: Approximate | None = None
) -> StepsReport:
    """Search all queries by the two-level traversal and add up its steps. rounds: in addition to one to warm up."""
    from lsr.kernels.traversals.account import BYTES, ITEMS, NANOSECONDS, STEPS, new_account

    prepared = [search.prepare(*row) for row in queries]
    least = np.full((len(prepared), len(STEPS)), np.iinfo(np.int64).max)
    counts = np.zeros((2, len(STEPS)))
    for round_number in range(rounds + 1):
        for number, query in enumerate(prepared):
            account = new_account()
            search.engine.rank(query[0], query[1], k, traversal="superblock", approximate=approximate, account=account)
            if round_number:
                least[number] = np.minimum(least[number], account[NANOSECONDS, :-1])
            else:
                counts += account[[BYTES, ITEMS], :-1]
    us = least.mean(axis=0) / 1e3
    n_bytes, n_items = counts / max(1, len(prepared))
    steps = tuple(Step(name, float(us[i]), float(n_bytes[i]), float(n_items[i])) for i, name in enumerate(STEPS))
    return StepsReport(k, "" if approximate is None else str(approximate), steps)


def steps_rows(reports: Sequence[StepsReport]) -> Iterator[list[str]]:
    """Yield the rows of a table: a line a step, three columns a report; the header first."""
    yield ["step", *(f"{report.settings or 'exact'}, k = {report.k}: {what}" for report in reports for what in WHATS)]
    for steps in zip(*(report.steps for report in reports), strict=True):
        numbers = [f"{value:,.{digits}f}" for step in steps for value, digits in _numbers(step)]
        yield [steps[0].name, *numbers]
    totals = [(report.us, sum(step.n_bytes for step in report.steps) / 1e3) for report in reports]
    yield ["all", *(cell for us, kb in totals for cell in (f"{us:,.1f}", f"{kb:,.0f}", ""))]


WHATS = ("µs", "kB", "items")


def _numbers(step: Step) -> tuple[tuple[float, int], ...]:
    return (step.us, 1), (step.n_bytes / 1e3, 0), (step.n_items, 0)
