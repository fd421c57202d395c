"""A fusion whose weights are learned on another split of the dataset than the one that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.systems.fusion import Scores, check_legs, fused_name, fused_run, query_legs
from lsr.eval.systems.system import System, SystemRun
from lsr.query.fusion.learned import JudgedQuery, Learned, learn_weights

LEARNED = "learned"
LEARN_SPLIT = "dev"


class LearnedFusion:
    """The rankings of two systems or more, fused by weights learned on a split that isn't measured."""

    def __init__(self, systems: Sequence[System], *, split: str = LEARN_SPLIT) -> None:
        self._systems = check_legs(systems)
        self._split = split

    @property
    def name(self) -> str:
        """The method with the systems that it fuses."""
        return fused_name(LEARNED, self._systems)

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Fuse the k best of each system.

        Raises UsageError if a query of the split is measured too, LsrError where there is no such split.
        """
        judged = load_dataset(dataset.corpus_path.parent, split=self._split, name=dataset.name)
        both = len(set(judged.queries) & set(dataset.queries))
        if both:
            raise UsageError(
                f"{both} queries of {dataset.name}'s split {self._split!r} are measured too: learn on another split"
            )
        legs = [system.run(dataset, k) for system in self._systems]
        examples = [system.run(judged, k) for system in self._systems]
        learned = learn_from_runs([leg.run for leg in examples], judged.qrels, minima=[leg.minimum for leg in examples])
        weights = learned.fuser.weights or ()
        return fused_run(legs, learned.fuser, k=k, method=LEARNED, weights=weights, learned_on=self._split)


def learn_from_runs(
    runs: Sequence[Scores], qrels: Mapping[str, Mapping[str, int]], *, minima: Sequence[float | None] | None = None
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
