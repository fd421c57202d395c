"""Weights are learned by an exact line search: no grid, however fine, finds better ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.query.fusion.learned import JudgedQuery, _highest, learn_weights
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser


def leg(found: dict[int, float]) -> Leg:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Leg.of([doc for doc, _ in ordered], [score for _, score in ordered], minimum=-100.0)


def mean_ndcg(queries: Sequence[JudgedQuery], method: str, weights: Sequence[float], cutoff: int) -> float:
    total = 0.0
    for query in queries:
        fused = make_fuser(method, weights=weights)(query.legs, cutoff)
        gains = [query.relevance.get(doc, 0) for doc in fused.docs.tolist()]
        best = sorted(query.relevance.values(), reverse=True)[:cutoff]
        dcg, ideal = (sum(g / math.log2(i + 2) for i, g in enumerate(some)) for some in (gains, best))
        total += dcg / ideal if ideal else 0.0
    return total / len(queries)


LEG = st.dictionaries(st.integers(0, 15), st.integers(-20, 20).map(float), min_size=1, max_size=10)
TIED = {0: -1.0, 1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 1.0, 6: -3.0, 7: -1.0, 8: 0.0}
QUERY = st.tuples(LEG, LEG, st.dictionaries(st.integers(0, 15), st.integers(0, 2), min_size=1, max_size=5))


@settings(deadline=None)
@given(raw=st.lists(QUERY, min_size=1, max_size=4), method=st.sampled_from(["min-max", "z-score"]))
@example(raw=[(TIED, {0: 0.0}, {1: 1})], method="z-score")
def test_no_weights_of_a_grid_are_better(raw: list[tuple[dict[int, float], ...]], method: str) -> None:
    queries = [JudgedQuery([leg(a), leg(b)], judged) for a, b, judged in raw]
    found = [doc for a, b, judged in raw for doc, gain in judged.items() if gain and (doc in a or doc in b)]
    if not found:
        with pytest.raises(UsageError, match="nothing to learn from"):
            learn_weights(queries, method=method)
        return
    learned = learn_weights(queries, method=method, cutoff=3, smoothing=0)
    weights = learned.fuser.weights
    assert weights is not None and sum(weights) == pytest.approx(1)
    assert learned.ndcg == pytest.approx(mean_ndcg(queries, method, weights, 3))
    # A grid may hit a place where two documents tie; the search looks only between such places.
    for t in np.linspace(0, 1, 74)[1:-1] + 1e-4 * math.pi:
        assert mean_ndcg(queries, method, [1 - t, t], 3) <= learned.ndcg + 1e-9


def test_lines_that_meet_at_an_end_make_no_step_beside_it() -> None:
    first = {2: -6.0, 15: -17.0, 12: -17.0, 13: 20.0, 1: 12.0, 11: 2.0, 10: 16.0, 3: 6.0, 9: -16.0, 7: 17.0}
    queries = [
        JudgedQuery([leg(first), leg({6: 3.0, 7: 2.0, 10: 20.0, 5: 3.0})], {9: 2}),
        JudgedQuery([leg(first), leg({0: 6.0})], {12: 1, 1: 2, 13: 2}),
    ]
    learned = learn_weights(queries, method="z-score", cutoff=3, smoothing=0)
    assert learned.fuser.weights is not None and min(learned.fuser.weights) > 1e-6
    assert learned.ndcg >= max(mean_ndcg(queries, "z-score", [1 - t, t], 3) for t in np.linspace(0.003, 0.997, 200))


def test_the_better_leg_gets_the_weight() -> None:
    rng = np.random.default_rng(0)
    queries = []
    for _ in range(20):
        good = {doc: float(score) for doc, score in enumerate(rng.normal(size=30))}
        noise = [{doc: float(score) for doc, score in enumerate(rng.normal(size=30))} for _ in range(2)]
        best = sorted(good, key=good.__getitem__)[-3:]
        queries.append(JudgedQuery([leg(noise[0]), leg(good), leg(noise[1])], dict.fromkeys(best, 1)))
    learned = learn_weights(queries)
    assert learned.fuser.weights is not None and learned.fuser.weights[1] > 0.8 and learned.ndcg > 0.95
    assert learned.fuser.name == "learned-min-max"
    assert learned.ndcg >= mean_ndcg(queries, "min-max", [1, 1, 1], 10)


def test_a_narrow_peak_is_no_hill() -> None:
    edges, heights = np.array([0.0, 0.3, 0.301, 0.6, 0.8, 1.0]), np.array([0.5, 0.9, 0.5, 0.7, 0.5])
    assert _highest(edges, heights, 0.0) == pytest.approx(0.3005)
    assert 0.65 <= _highest(edges, heights, 0.05) <= 0.75


def test_what_nothing_can_be_learned_from() -> None:
    one = leg({1: 1.0})
    for queries in ([], [JudgedQuery([one], {1: 1})], [JudgedQuery([one] * 2, {1: 1}), JudgedQuery([one] * 3, {1: 1})]):
        with pytest.raises(UsageError, match="the same legs, two or more"):
            learn_weights(queries)
    with pytest.raises(UsageError, match="nothing to learn from"):
        learn_weights([JudgedQuery([one, one], {2: 1})])
    with pytest.raises(UsageError, match="unknown fusion"):
        learn_weights([JudgedQuery([one, one], {1: 1})], method="sum")
