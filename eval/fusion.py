"""Fusion of whole runs: two or more systems' rankings of the same queries into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from lsr.errors import UsageError
from lsr.eval.runs import Ranking, trec_order

Run = Mapping[str, Mapping[str, float]]
RRF_K = 60


def fuse(runs: Sequence[Run], method: str, *, k: int) -> Iterator[Ranking]:
    """Yield the fused rankings, the best k of each query, equal scores in the order of doc_id.

    method: a name of `METHODS`. A query that only some runs answer is fused from those. Raises UsageError for an
    unknown method or fewer than two runs.
    """
    if method not in METHODS:
        raise UsageError(f"unknown fusion {method!r}: use one of {', '.join(METHODS)}")
    if len(runs) < 2:
        raise UsageError(f"fusion needs two systems or more, not {len(runs)}: name more encoders")
    contribute = METHODS[method]
    for query_id in dict.fromkeys(query_id for run in runs for query_id in run):
        total: dict[str, float] = {}
        for run in runs:
            for doc_id, value in contribute(run.get(query_id, {})).items():
                total[doc_id] = total.get(doc_id, 0.0) + value
        best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:k]
        yield Ranking(query_id, [doc_id for doc_id, _ in best], [score for _, score in best])


def reciprocal_ranks(found: Mapping[str, float]) -> dict[str, float]:
    """Return 1 / (60 + rank) for each document (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    return {doc_id: 1.0 / (RRF_K + rank) for rank, doc_id in enumerate(trec_order(found), 1)}


def min_max(found: Mapping[str, float]) -> dict[str, float]:
    """Return scores scaled to [0, 1] by the query's own smallest and largest; all alike give 1."""
    if not found:
        return {}
    low, high = min(found.values()), max(found.values())
    return {doc_id: (score - low) / (high - low) if high > low else 1.0 for doc_id, score in found.items()}


METHODS: Mapping[str, Callable[[Mapping[str, float]], dict[str, float]]] = {
    "rrf": reciprocal_ranks,
    "min-max": min_max,
}
