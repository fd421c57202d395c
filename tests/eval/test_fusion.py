"""Fusing runs by hand-checked sums."""

from __future__ import annotations

import pytest

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Run
from lsr.eval.systems.fusion import FusedSystem, fuse
from lsr.eval.systems.learned_fusion import learn_from_runs
from lsr.eval.systems.system import SystemRun

FIRST = {"q1": {"a": 10.0, "b": 6.0, "c": 2.0}, "q2": {"a": 1.0}}
SECOND = {"q1": {"c": 0.9, "d": 0.1}, "q3": {"b": 5.0, "a": 5.0}}


class Ready:
    """A system whose run is given."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self._run = run

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        return SystemRun(self._run, {})


def test_reciprocal_ranks_are_summed() -> None:
    rankings = {r.query_id: r for r in fuse([FIRST, SECOND], "rrf", k=10)}
    assert list(rankings) == ["q1", "q2", "q3"]
    assert list(rankings["q1"].doc_ids) == ["c", "a", "b", "d"]
    assert rankings["q1"].scores == pytest.approx([1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62])
    # Tied scores rank as trec_eval ranks them, the larger doc_id first.
    assert list(rankings["q3"].doc_ids) == ["b", "a"]


def test_min_max_scales_each_leg_and_query() -> None:
    rankings = {r.query_id: r for r in fuse([FIRST, SECOND], "min-max", k=3)}
    assert dict(zip(rankings["q1"].doc_ids, rankings["q1"].scores, strict=True)) == pytest.approx(
        {"a": 1.0, "c": 1.0, "b": 0.5}
    )
    assert list(rankings["q1"].doc_ids) == ["a", "c", "b"]
    assert list(rankings["q2"].scores) == [1.0]


def test_unknown_methods_and_single_runs_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown fusion 'sum': use one of min-max, tm2c2, z-score, rrf, dbsf"):
        list(fuse([FIRST, SECOND], "sum", k=3))
    with pytest.raises(UsageError, match="two systems"):
        FusedSystem([Ready("first", FIRST)], "rrf")
    with pytest.raises(UsageError, match="unknown fusion 'sum'"):
        FusedSystem([Ready("first", FIRST), Ready("second", SECOND)], "sum")


def test_a_method_that_needs_the_least_possible_score_is_told_it() -> None:
    with pytest.raises(UsageError, match="tm2c2 needs the least score"):
        list(fuse([FIRST, SECOND], "tm2c2", k=3))
    rankings = {r.query_id: r for r in fuse([FIRST, SECOND], "tm2c2", k=9, minima=[0.0, -1.0])}
    assert dict(zip(rankings["q1"].doc_ids, rankings["q1"].scores, strict=True)) == pytest.approx(
        {"a": 0.2, "b": 0.12, "c": 0.04 + 0.8, "d": 0.8 * 1.1 / 1.9}
    )


def test_weights_are_learned_from_runs_and_judgements() -> None:
    good = {f"q{i}": {"a": 3.0, "b": 2.0, "c": 1.0} for i in range(5)}
    bad = {f"q{i}": {"c": 3.0, "d": 2.0, "a": 1.0} for i in range(5)}
    qrels = {f"q{i}": {"a": 2, "b": 1, "nowhere": 1, "c": 0} for i in range(5)}
    learned = learn_from_runs([bad, good], qrels)
    assert learned.fuser.weights is not None and learned.fuser.weights[1] > learned.fuser.weights[0]
    assert 0.5 < learned.ndcg < 1  # a relevant document that nobody found is missed
    (ranking, *_) = fuse([bad, good], learned.fuser, k=10)
    assert list(ranking.doc_ids)[:2] == ["a", "b"]
