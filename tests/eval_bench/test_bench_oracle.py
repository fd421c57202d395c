"""The oracle is plain, agrees with a plainer one, and counts recall fairly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import LsrError
from lsr.eval.bench import oracle
from lsr.eval.bench.collection import SparseCollection
from lsr.eval.bench.oracle import exact_scores, find_truth, load_truth, recall, save_truth
from lsr.eval.bench.run import check_exact
from lsr.query.engine.engine import Ranking
from lsr.types import SparseBatch

ROW = st.dictionaries(st.integers(0, 6), st.integers(1, 255).map(float), max_size=5)


def collection(documents: list[dict[int, float]], queries: list[dict[int, float]]) -> SparseCollection:
    return SparseCollection("c", SparseBatch.from_rows(documents, 7), SparseBatch.from_rows(queries, 7))


def dense_best(documents: list[dict[int, float]], query: dict[int, float], k: int) -> list[tuple[int, int]]:
    scores = [int(sum(weight * document.get(term, 0) for term, weight in query.items())) for document in documents]
    ranked = sorted((-score, position) for position, score in enumerate(scores) if score > 0)
    return [(position, -score) for score, position in ranked[:k]]


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), st.lists(ROW, max_size=3), st.integers(1, 15), st.integers(1, 5))
def test_the_truth_is_the_sorted_list_of_all_scores(
    documents: list[dict[int, float]], queries: list[dict[int, float]], k: int, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "CHUNK", chunk)
        truth = find_truth(collection(documents, queries), k)
    for number, query in enumerate(queries):
        positions, scores = truth.best(number, k)
        assert list(zip(positions.tolist(), scores.tolist(), strict=True)) == dense_best(documents, query, k)


def test_the_truth_survives_being_saved(tmp_path: Path) -> None:
    truth = find_truth(collection([{0: 1}, {0: 2}], [{0: 3}, {1: 1}]), 2)
    save_truth(tmp_path / "truth.npz", truth)
    again = load_truth(tmp_path / "truth.npz")
    assert again.best(0, 2)[0].tolist() == [1, 0]
    assert again.best(0, 1)[1].tolist() == [6]
    assert len(again.best(1, 2)[0]) == 0


def found(*positions: list[int]) -> list[npt.NDArray[np.int64]]:
    return [np.array(row, np.int64) for row in positions]


def test_recall_takes_any_of_equal_documents_but_none_twice() -> None:
    c = collection([{0: 5}, {0: 9}, {0: 5}, {0: 1}, {0: 5}], [{0: 2}])
    truth = find_truth(c, 5)
    assert truth.best(0, 2)[0].tolist() == [1, 0]
    assert recall(c, truth, found([1, 0]), 2) == 1.0
    assert recall(c, truth, found([4, 1]), 2) == 1.0
    assert recall(c, truth, found([1, 3]), 2) == 0.5
    assert recall(c, truth, found([1, 1]), 2) == 0.5
    assert recall(c, truth, found([2, 4]), 2) == 1.0
    assert recall(c, truth, found([]), 2) == 0.0


def test_recall_counts_only_documents_that_there_are_to_be_found() -> None:
    c = collection([{0: 5}, {1: 9}, {0: 7}], [{0: 1}, {6: 1}])
    truth = find_truth(c, 3)
    assert recall(c, truth, found([2, 0], []), 3) == 1.0
    assert recall(c, truth, found([2, 0, 1], [0]), 3) == 1.0
    assert recall(c, truth, found([2], []), 3) == 0.75


def test_exact_scores_are_dot_products() -> None:
    c = collection([{0: 5, 3: 255}, {}, {0: 7, 6: 2}], [{0: 2, 3: 255}])
    scores = exact_scores(c.documents, np.array([2, 0, 1]), *c.queries.row(0))
    assert scores.tolist() == [14, 10 + 255 * 255, 0]


class Canned:
    """Answers every query with one ranking."""

    def __init__(self, positions: list[int], scores: list[float]) -> None:
        integers = np.array(scores, np.uint32)
        self.ranking = Ranking(np.array(positions, np.int64), np.array(scores, np.float64), integers)

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> None:
        return None

    def search(self, query: None, k: int) -> Ranking:
        return self.ranking

    def positions(self, result: Ranking) -> npt.NDArray[np.int64]:
        return result.positions


@pytest.mark.parametrize(
    ("positions", "scores"),
    [([0, 1], [10.0, 18.0]), ([1, 2], [18.0, 10.0]), ([1], [18.0]), ([1, 0], [18.0, 9.0])],
    ids=["order", "another of a tie", "one missing", "a score"],
)
def test_any_difference_from_the_truth_fails_the_benchmark(positions: list[int], scores: list[float]) -> None:
    c = collection([{0: 5}, {0: 9}, {0: 5}], [{0: 2}])
    truth = find_truth(c, 2)
    check_exact(Canned([1, 0], [18.0, 10.0]), c, truth, [2])
    with pytest.raises(LsrError, match="query 0 at k = 2: our ranking isn't the exact one"):
        check_exact(Canned(positions, scores), c, truth, [2])
