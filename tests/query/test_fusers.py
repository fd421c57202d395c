"""Fusion gives what its papers say, told by plain loops over dictionaries; ties go to the earlier document."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.query.fusion.fuser import Fused
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import METHODS, make_fuser

Found = dict[int, float]


def leg(found: Found, minimum: float | None = -10.0) -> Leg:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Leg.of([doc for doc, _ in ordered], [score for _, score in ordered], minimum=minimum)


def plain_values(method: str, found: Found) -> tuple[Found, float]:
    """Return what each document is worth in a leg, and what one is worth that the leg lacks."""
    scores = list(found.values())
    low, high = min(scores), max(scores)
    mean, deviation = statistics.fmean(scores), statistics.pstdev(scores)
    if method == "rrf":
        ordered = sorted(found, key=lambda doc: (-found[doc], doc))
        return {doc: 1 / (60 + rank) for rank, doc in enumerate(ordered, 1)}, 0.0
    if method == "tm2c2":
        return {doc: (score + 10) / (high + 10) if high > -10 else 1.0 for doc, score in found.items()}, 0.0
    if low == high:
        alike = {"min-max": 1.0, "z-score": 0.0, "dbsf": 0.5}[method]
        return dict.fromkeys(found, alike), -2.0 if method == "z-score" else 0.0
    if method == "min-max":
        return {doc: (score - low) / (high - low) for doc, score in found.items()}, 0.0
    if method == "z-score":
        return {doc: (score - mean) / deviation for doc, score in found.items()}, -2.0
    return {doc: (score - (mean - 3 * deviation)) / (6 * deviation) for doc, score in found.items()}, 0.0


def plain_fusion(method: str, legs: Sequence[Found], weights: Sequence[float]) -> dict[int, float]:
    total: dict[int, float] = {doc: 0.0 for found in legs for doc in found}
    for found, weight in zip(legs, weights, strict=True):
        if found:
            values, missing = plain_values(method, found)
            for doc in total:
                total[doc] += weight * values.get(doc, missing)
    return total


SCORES = st.integers(-40, 40).map(lambda n: n / 4)
LEGS = st.lists(st.dictionaries(st.integers(0, 30), SCORES, max_size=20), min_size=2, max_size=4)


def check_consistent(fused: Fused, legs: Sequence[Found]) -> None:
    """Every document once, best first, ties ascending, with the legs' own scores and ranks."""
    assert sorted(fused.docs.tolist()) == sorted({doc for found in legs for doc in found})
    keys = [(-score, doc) for score, doc in zip(fused.scores.tolist(), fused.docs.tolist(), strict=True)]
    assert keys == sorted(keys)
    for number, found in enumerate(legs):
        ordered = sorted(found, key=lambda doc: (-found[doc], doc))
        for row, doc in enumerate(fused.docs.tolist()):
            score, rank = fused.leg_scores[row, number], fused.leg_ranks[row, number]
            assert (score, rank) == (found[doc], ordered.index(doc) + 1) if doc in found else rank == 0
            assert math.isnan(score) == (doc not in found)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None)
@given(legs=LEGS, weigh=st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_fusers_agree_with_their_plain_twins(method: str, legs: list[Found], weigh: list[int]) -> None:
    weights = [float(weight) for weight in weigh[: len(legs)]]
    fused = make_fuser(method, weights=weights)([leg(found) for found in legs])
    expected = plain_fusion(method, legs, weights)
    assert dict(zip(fused.docs.tolist(), fused.scores.tolist(), strict=True)) == pytest.approx(expected, abs=1e-9)
    check_consistent(fused, legs)
    best = make_fuser(method, weights=weights)([leg(found) for found in legs], 3)
    assert best.docs.tolist() == fused.docs.tolist()[:3] and best.leg_ranks.shape == (len(best), len(legs))


@settings(deadline=None)
@given(legs=LEGS)
def test_scaling_a_leg_changes_nothing_where_scores_are_made_comparable(legs: list[Found]) -> None:
    scaled = [{doc: 8 * score for doc, score in legs[0].items()}, *legs[1:]]
    for method in set(METHODS) - {"tm2c2"}:
        before, after = (make_fuser(method)([leg(found, None) for found in some]) for some in (legs, scaled))
        assert after.docs.tolist() == before.docs.tolist()


def test_min_max_by_hand() -> None:
    fused = make_fuser()([leg({1: 10.0, 2: 6.0, 3: 2.0}), leg({3: 0.9, 4: 0.1})], 3)
    assert fused.docs.tolist() == [1, 3, 2] and fused.scores.tolist() == [1.0, 1.0, 0.5]
    assert fused.leg_ranks.tolist() == [[1, 0], [3, 1], [2, 0]]


def test_the_papers_weights_of_tm2c2_are_for_a_lexical_and_a_semantic_leg() -> None:
    legs = [Leg.of([1, 2], [8.0, 4.0], minimum=0.0), Leg.of([2, 3], [0.6, 0.2], minimum=-1.0)]
    fused = make_fuser("tm2c2")(legs)
    found = dict(zip(fused.docs.tolist(), fused.scores.tolist(), strict=True))
    assert found == pytest.approx({1: 0.2, 2: 0.1 + 0.8, 3: 0.8 * 1.2 / 1.6})


def test_nothing_fused_is_nothing() -> None:
    for method in METHODS:
        assert len(make_fuser(method)([leg({}), leg({})])) == 0
        assert make_fuser(method)([leg({}), leg({5: 1.0})]).docs.tolist() == [5]


@pytest.mark.parametrize(
    ("docs", "scores", "minimum", "message"),
    [
        ([1, 2], [1.0], None, "docs of shape"),
        ([1], [math.nan], None, "the score nan; scores must be finite"),
        ([1], [math.inf], None, "the score inf"),
        ([1, 2], [1.0, 2.0], None, "must not increase, but 1.0 is followed by 2.0"),
        ([1, 1], [2.0, 1.0], None, "holds a document twice"),
        ([1], [-2.0], -1.0, "can't be below -1.0, but one is -2.0"),
    ],
)
def test_a_leg_that_is_no_ranked_list(docs: list[int], scores: list[float], minimum: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Leg.of(docs, scores, minimum=minimum)


@pytest.mark.parametrize("weights", [(-0.1, 1.0), (math.nan, 1.0), (math.inf, 1.0), (0.0, 0.0)])
def test_weights_outside_their_range(weights: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="must be 0 or more, and not all 0, but are"):
        make_fuser("min-max", weights=weights)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown fusion 'sum': use one of min-max, tm2c2"):
        make_fuser("sum")
    with pytest.raises(UsageError, match="rrf has 2 weights for 3 legs"):
        make_fuser("rrf", weights=[1, 2])([leg({1: 1.0})] * 3)
    with pytest.raises(UsageError, match="needs the least score that each leg can give"):
        make_fuser("tm2c2")([leg({1: 1.0}, None), leg({1: 1.0}, None)])


@pytest.mark.parametrize("method", METHODS)
def test_ten_times_the_hits_are_fused_in_as_many_calls(method: str, count_calls: Callable[..., int]) -> None:
    def calls(n_hits: int) -> int:
        rng = np.random.default_rng(3)
        legs = [
            Leg.of(rng.choice(5000, n_hits, replace=False), np.sort(rng.gamma(2.0, 3.0, n_hits))[::-1], minimum=0.0)
            for _ in range(2)
        ]
        fuser = make_fuser(method)
        return count_calls(lambda: fuser(legs, 100))

    assert calls(1000) <= 1.1 * calls(100)
