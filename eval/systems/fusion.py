"""Fusion of whole runs: the rankings of several systems for the same queries made one, by the fusers of `lsr.query`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, run_of, trec_order
from lsr.eval.systems.system import System, SystemRun
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser

Scores = Mapping[str, Mapping[str, float]]
"""A run that is only read."""


class FusedSystem:
    """The rankings of two systems or more, fused query by query. method: the name of a fuser."""

    def __init__(self, systems: Sequence[System], method: str) -> None:
        self._systems = check_legs(systems)
        self._fuser = make_fuser(method)

    @property
    def name(self) -> str:
        """The method with the systems that it fuses."""
        return fused_name(self._fuser.name, self._systems)

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Fuse the k best of each system."""
        legs = [system.run(dataset, k) for system in self._systems]
        return fused_run(legs, self._fuser, k=k, method=self._fuser.name)


def check_legs(systems: Sequence[System]) -> tuple[System, ...]:
    """Return systems that can be fused. Raises UsageError for fewer than two."""
    if len(systems) < 2:
        raise UsageError(f"fusion needs two systems or more, not {len(systems)}: name more encoders")
    return tuple(systems)


def fused_name(method: str, systems: Sequence[System]) -> str:
    """Return the name of a fusion of systems."""
    return f"{method}({', '.join(system.name for system in systems)})"


def fused_run(legs: Sequence[SystemRun], fuser: Fuser, *, k: int, method: str, **more: Any) -> SystemRun:
    """Return the fusion of systems' runs. more: what else the description says of it."""
    run = run_of(fuse([leg.run for leg in legs], fuser, k=k, minima=[leg.minimum for leg in legs]))
    about = {"kind": "fusion", "method": method, "legs": [leg.description for leg in legs], **more}
    return SystemRun(run, about)


def fuse(
    runs: Sequence[Scores], method: str | Fuser, *, k: int, minima: Sequence[float | None] | None = None
) -> Iterator[Ranking]:
    """Yield the fused rankings, the best k of each query, equal scores in the order of doc_id.

    method: a fuser, or the name of one. minima: the least score that each system can give, where it is known.
    A query that only some runs answer is fused from those. Raises UsageError for an unknown method, or one that needs
    minima without them.
    """
    fuser = make_fuser(method) if isinstance(method, str) else method
    for query_id in dict.fromkeys(query_id for run in runs for query_id in run):
        doc_ids, legs = query_legs([run.get(query_id, {}) for run in runs], minima)
        fused = fuser(legs, k)
        yield Ranking(query_id, [doc_ids[doc] for doc in fused.docs], fused.scores)


def query_legs(
    found: Sequence[Mapping[str, float]], minima: Sequence[float | None] | None = None
) -> tuple[list[str], list[Leg]]:
    """Return the doc_ids of what systems found for one query, ascending, and the legs over places in that list.

    Scores are taken as trec_eval takes them: rounded to float32, equal ones by doc_id descending.
    """
    doc_ids = sorted(set().union(*found))
    places = {doc_id: place for place, doc_id in enumerate(doc_ids)}
    legs = []
    for of_system, minimum in zip(found, minima or [None] * len(found), strict=True):
        ordered = trec_order(of_system)
        scores = np.array([of_system[doc_id] for doc_id in ordered], np.float64).astype(np.float32)
        # A score made smaller than its tie may come to lie just below what is possible.
        lowest = minimum if minimum is None or not len(scores) else min(minimum, float(scores[-1]))
        legs.append(Leg.of([places[doc_id] for doc_id in ordered], scores, minimum=lowest))
    return doc_ids, legs
