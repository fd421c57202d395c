"""Fused scores are drawn towards those of near candidates, as a plain twin over lists says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.query.fusion.fuser import Fused
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.score_smoothing import Neighbours, draw_together, of_neighbours, resemblance

Vector = Sequence[float]


def dot(a: Vector, b: Vector) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def unit(a: Vector) -> list[float]:
    length = math.sqrt(dot(a, a))
    return [x / length if length else 0.0 for x in a]


def min_max(values: Mapping[int, float]) -> dict[int, float]:
    low, high = min(values.values()), max(values.values())
    return {doc: (value - low) / (high - low) if high > low else 1.0 for doc, value in values.items()}


def plain_mean_of_neighbours(rows: Sequence[Vector], scores: Sequence[float], nearest: int) -> list[float]:
    means = []
    for i, row in enumerate(rows):
        near = sorted(((dot(unit(row), unit(other)), j) for j, other in enumerate(rows) if j != i), reverse=True)
        counted = [(max(cosine, 0.0), j) for cosine, j in near[:nearest]]
        total = math.fsum(weight for weight, _ in counted)
        means.append(math.fsum(w * scores[j] for w, j in counted) / total if total > 0 else scores[i])
    return means


def plain_draw(
    sparse: Mapping[int, float], rows: Mapping[int, Vector], query: Vector, how: Neighbours
) -> dict[int, tuple[float, float]]:
    """Return each document's drawn score, and the mean of its neighbours'.

    Where share is 1, documents of one and the same neighbour tie, and rounding decides which are the first.
    """
    docs = sorted(rows)

    def drawn(vector: Vector) -> dict[int, tuple[float, float]]:
        dense = min_max({doc: dot(rows[doc], vector) for doc in docs})
        lexical = min_max(sparse) if sparse else {}
        fused = [lexical.get(doc, 0.0) + dense[doc] for doc in docs]
        means = plain_mean_of_neighbours([rows[doc] for doc in docs], fused, how.nearest)
        return {
            doc: ((1 - how.share) * own + how.share * mean, mean)
            for doc, own, mean in zip(docs, fused, means, strict=True)
        }

    found = drawn(query)
    if how.n_docs == 0:
        return found
    first = sorted(docs, key=lambda doc: (-found[doc][0], doc))[: how.n_docs]
    units = [unit(rows[doc]) for doc in first]
    centre = [sum(column) / len(units) for column in zip(*units, strict=True)]
    moved = unit([x + how.beta * y for x, y in zip(unit(query), centre, strict=True)])
    return drawn([x * math.sqrt(dot(query, query)) for x in moved])


def leg_of(scores: Mapping[int, float]) -> Leg:
    docs = sorted(scores, key=lambda doc: (-scores[doc], doc))
    return Leg.of(docs, [scores[doc] for doc in docs])


def draw(sparse: Mapping[int, float], rows: Mapping[int, Vector], query: Vector, how: Neighbours) -> Fused:
    docs = sorted(rows)

    def fuse(scores: Any) -> Fused:
        return make_fuser()((leg_of(sparse), leg_of(dict(zip(docs, scores.tolist(), strict=True)))))

    return draw_together(np.array([rows[doc] for doc in docs], np.float32), np.array(query, np.float32), fuse, how)


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 20), n_sparse=st.integers(0, 20), nearest=st.sampled_from([1, 3, 50]),
    share=st.sampled_from([0.0, 0.4, 0.9]), n_docs=st.sampled_from([0, 1, 3]),
)  # fmt: skip
def test_it_agrees_with_its_plain_twin(
    seed: int, n: int, n_sparse: int, nearest: int, share: float, n_docs: int
) -> None:
    rng = np.random.default_rng(seed)
    docs = np.sort(rng.choice(100, n, replace=False)).tolist()
    rows = {doc: rng.normal(size=5).astype(np.float32).tolist() for doc in docs}
    sparse = {doc: float(rng.random()) for doc in rng.permutation(docs)[:n_sparse].tolist()}
    query = rng.normal(size=5).astype(np.float32).tolist()
    how = Neighbours(nearest, share, n_docs)
    expected = plain_draw(sparse, rows, query, how)
    found = draw(sparse, rows, query, how)
    assert sorted(found.docs.tolist()) == docs and (np.diff(found.scores) <= 0).all()
    for place, doc in enumerate(found.docs.tolist()):
        assert found.scores[place] == pytest.approx(expected[doc][0], abs=1e-4)
        assert found.leg_scores[place, 2] == pytest.approx(expected[doc][1], abs=1e-4)
        assert found.leg_scores[place, 0] == pytest.approx(sparse.get(doc, math.nan), nan_ok=True)
        assert found.leg_scores[place, 1] == pytest.approx(dot(rows[doc], query), abs=1e-4)
    by_rank = found.leg_scores[np.argsort(found.leg_ranks[:, 2]), 2]
    assert (np.diff(by_rank) <= 0).all() and sorted(found.leg_ranks[:, 2].tolist()) == list(range(1, n + 1))


def test_a_candidate_among_good_ones_rises_above_a_lonely_one() -> None:
    rows = {0: [1.0, 0.0, 0.0], 1: [1.0, 0.1, 0.0], 2: [1.0, 0.0, 0.1], 3: [0.0, 1.0, 1.0], 4: [-1.0, 0.0, 0.0]}
    sparse = {0: 1.0, 1: 0.9, 2: 0.5, 3: 0.6, 4: 0.0}
    query = [1.0, 0.6, 0.5]  # about as near to 2 as to 3
    plain = draw(sparse, rows, query, Neighbours(share=0.0, n_docs=0)).docs.tolist()
    drawn = draw(sparse, rows, query, Neighbours(nearest=2)).docs.tolist()
    assert plain.index(3) < plain.index(2) and drawn.index(2) < drawn.index(3)


def test_none_alike_and_none_at_all() -> None:
    opposite = resemblance(np.array([[1, 0], [-1, 0], [0, 0]], np.float32), 2)
    assert not opposite.any()
    assert of_neighbours(np.array([0.3, 0.2, 0.1]), opposite).tolist() == [0.3, 0.2, 0.1]
    assert draw({7: 2.0}, {7: [1.0, 0.0]}, [0.5, 0.5], Neighbours()).scores.tolist() == [2.0]
    nothing = draw_together(
        np.empty((0, 2), np.float32), np.ones(2, np.float32), lambda _: make_fuser()((leg_of({}), leg_of({}))),
        Neighbours(),
    )  # fmt: skip
    assert len(nothing) == 0 and nothing.leg_scores.shape == (0, 3)


def test_equally_near_ones_all_count() -> None:
    weights = resemblance(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32), 1)
    assert weights[0].tolist() == pytest.approx([0, 0.5, 0.5, 0])
    assert weights[3].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nearest": 0}, "nearest is 0; it must be at least 1"),
        ({"share": 1.5}, "share is 1.5; it must be 0 to 1"),
        ({"share": math.nan}, "share is nan"),
        ({"n_docs": -1}, "n_docs is -1; it must be 0 or more"),
        ({"beta": math.inf}, "beta is inf; it must be 0 or more"),
    ],
)
def test_values_outside_their_range_are_refused(values: dict[str, Any], error: str) -> None:
    with pytest.raises(UsageError, match=re.escape(error)):
        Neighbours(**values)
