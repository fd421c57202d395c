"""Fusion of whole runs: two or more systems' rankings of the same queries into one, by the fusers of `lsr.query`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lsr.errors import UsageError
from lsr.eval.data.runs import Ranking, trec_order
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser

Run = Mapping[str, Mapping[str, float]]


def fuse(
    runs: Sequence[Run], method: str | Fuser, *, k: int, minima: Sequence[float | None] | None = None
) -> Iterator[Ranking]:
    """Yield the fused rankings, the best k of each query, equal scores in the order of doc_id.

    method: a fuser, or the name of one. minima: the least score that each system can give, where it is known.
    A query that only some runs answer is fused from those. Raises UsageError for an unknown method, fewer than two
    runs, or a method that needs minima without them.
    """
    fuser = make_fuser(method) if isinstance(method, str) else method
    if len(runs) < 2:
        raise UsageError(f"fusion needs two systems or more, not {len(runs)}: name more encoders")
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
