"""A fusion whose weights are learned on another split of the dataset than the one that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.systems.fusion import Run, query_legs
from lsr.eval.systems.systems import System
from lsr.query.fusion.learned import JudgedQuery, Learned, learn_weights
from lsr.query.searcher import Searcher

LEARN_SPLIT = "dev"


def learn_fuser(
    systems: Sequence[System], dataset: Dataset, *, split: str = LEARN_SPLIT, k: int = 100, threads: int = 1
) -> Learned:
    """Search a split's judged queries with systems of positive weights, and learn how to weigh these.

    k: results of each system that are fused. Raises UsageError if a query of the split is measured too, LsrError
    where there is no such split.
    """
    judged = load_dataset(dataset.corpus_path.parent, split=split, name=dataset.name)
    both = len(set(judged.queries) & set(dataset.queries))
    if both:
        raise UsageError(f"{both} queries of {dataset.name}'s split {split!r} are measured too: learn on another split")
    runs = [_run(system, judged, k, threads) for system in systems]
    return learn_from_runs(runs, judged.qrels, minima=[0.0] * len(runs))


def learn_from_runs(
    runs: Sequence[Run], qrels: Mapping[str, Mapping[str, int]], *, minima: Sequence[float | None] | None = None
) -> Learned:
    """Learn the weights of systems from their runs of judged queries. Raises what `learn_weights` raises."""
    judged = []
    for query_id, relevance in qrels.items():
        doc_ids, legs = query_legs([run.get(query_id, {}) for run in runs], minima)
        places = {doc_id: place for place, doc_id in enumerate(doc_ids)}
        # A relevant document that no leg found belongs to the ideal ranking all the same.
        by_place = {places.get(doc_id, -1 - i): float(gain) for i, (doc_id, gain) in enumerate(relevance.items())}
        judged.append(JudgedQuery(legs, by_place))
    return learn_weights(judged)


def _run(system: System, dataset: Dataset, k: int, threads: int) -> Run:
    prepared = system.prepare(dataset)
    searcher = Searcher(prepared.index)
    rankings = searcher.rank(prepared.queries, k=k, threads=threads, feedback=prepared.feedback)
    found = zip(dataset.queries, rankings, strict=True)
    return run_of(Ranking(query_id, searcher.doc_ids(ranking), ranking.scores) for query_id, ranking in found)
