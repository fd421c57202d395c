"""Every traversal of ours against the planner's choice, and the two-level one step by step."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lsr.eval.bench.own import OwnSearch
from lsr.eval.bench.report import Step, StepsReport, TraversalReport
from lsr.eval.bench.timing import summarise, time_round
from lsr.indexer.storage.index import StoredIndex
from lsr.kernels.traversals.account import BYTES, ITEMS, NANOSECONDS, STEPS, new_account
from lsr.query.engine.approximate import LEVELS, Approximate
from lsr.query.engine.planner import TRAVERSALS
from lsr.types import SparseBatch

NEAR = 1.1
UNCOMPILED = "plain"
"""Serves single queries of new processes, where loading compiled code would take longer; never faster elsewhere."""


def compare_traversals(index: StoredIndex, queries: SparseBatch, k: int, *, rounds: int) -> TraversalReport:
    """Time each traversal and the planner, interleaved.

    Where the planner takes one traversal for all segments, its time is that of this traversal, so that
    noise between two measurements of the same thing doesn't count against it.
    """
    searches = {name: OwnSearch(index, traversal=name) for name in TRAVERSALS if name != UNCOMPILED}
    planner = OwnSearch(index)
    prepared = [planner.prepare(*row) for row in queries]
    chosen = [planner.search(query, k).traversals for query in prepared]
    names = [*searches, ""]
    least = {name: np.full(len(queries), np.inf) for name in names}
    for round_number in range(rounds + 1):
        for name in names:
            took = time_round((searches.get(name) or planner).search, prepared, k).latency_us
            if round_number:
                least[name] = np.minimum(least[name], took)
    best = np.min([least[name] for name in searches], axis=0)
    uniform = [traversals[0] if len(set(traversals)) == 1 else "" for traversals in chosen]
    planned = np.array([least[name][i] for i, name in enumerate(uniform)])
    return TraversalReport(
        k=k,
        latencies={name: summarise(least[name]) for name in searches},
        best=summarise(best),
        planner=summarise(least[""]),
        chosen=dict(Counter(" + ".join(traversals) or "none" for traversals in chosen)),
        within_a_tenth=float(np.mean(planned <= NEAR * best)),
        lost_us=float(np.mean(planned - best)),
    )


def account_steps(
    search: OwnSearch, queries: SparseBatch, k: int, *, rounds: int, approximate: Approximate | None = None
) -> StepsReport:
    """Search all queries by the two-level traversal and add up its steps. rounds: in addition to one to warm up."""
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


def account_all(search: OwnSearch, queries: SparseBatch, k: int, *, rounds: int) -> tuple[StepsReport, ...]:
    """Account for the exact search at one k and for each level of the approximate one."""
    settings = (None, *(Approximate(level=level) for level in LEVELS))
    return tuple(account_steps(search, queries, k, rounds=rounds, approximate=one) for one in settings)
