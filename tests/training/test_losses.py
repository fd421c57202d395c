"""Losses give what their papers say, by hand, and gradients that finite differences confirm."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lsr.errors import UsageError
from lsr.training.losses.base import ScoredBatch
from lsr.training.losses.distillation import combined_scores, kl, min_max
from lsr.training.losses.infonce import infonce
from lsr.training.losses.margin import margin_triplet
from lsr.training.losses.margin_mse import margin_mse
from lsr.training.losses.overlap import overlap
from lsr.training.losses.regression import vector_regression

# Two queries, each with a positive and a hard negative: columns q0+, q0−, q1+, q1−.
SCORES = torch.tensor([[3.0, 1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 2.5]], dtype=torch.float64)
POSITIVES = torch.tensor([0, 2])
OWN = torch.tensor([[True, True, False, False], [False, False, True, True]])
TEACHER = torch.tensor([[9.0, 4.0, 1.0, 0.0], [0.0, 2.0, 8.0, 6.0]], dtype=torch.float64)


def batch(scores: Tensor = SCORES, *, same: Tensor | None = None, teacher: Tensor | None = TEACHER) -> ScoredBatch:
    return ScoredBatch(scores, POSITIVES, OWN, torch.zeros_like(OWN) if same is None else same, teacher)


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def divergence(wanted: list[float], given: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(softmax(wanted), softmax(given), strict=True))


def test_infonce_against_the_whole_batch() -> None:
    rows = [softmax(row) for row in SCORES.tolist()]
    assert infonce(batch()).item() == pytest.approx(-(math.log(rows[0][0]) + math.log(rows[1][2])) / 2)


def test_infonce_against_the_own_documents_at_a_temperature() -> None:
    expected = -(math.log(softmax([6, 2])[0]) + math.log(softmax([4, 5])[0])) / 2
    assert infonce(batch(), temperature=0.5, candidates="own").item() == pytest.approx(expected)


def test_a_document_with_the_positives_text_is_no_negative() -> None:
    same = torch.zeros_like(OWN)
    same[0, 2] = True
    expected = -(math.log(softmax([3, 1, 2])[0]) + math.log(softmax(SCORES[1].tolist())[2])) / 2
    assert infonce(batch(same=same)).item() == pytest.approx(expected)


def test_the_margin_is_asked_for_between_the_positive_and_each_negative() -> None:
    assert margin_triplet(batch(), margin=1.0).item() == pytest.approx((0 + 1.5) / 2)
    assert margin_triplet(batch(), margin=3.0).item() == pytest.approx((1.0 + 3.5) / 2)


def test_margin_mse_compares_margins() -> None:
    assert margin_mse(batch()).item() == pytest.approx(((2 - 5) ** 2 + (-0.5 - 2) ** 2) / 2)
    assert margin_mse(batch(), scale=0.5).item() == pytest.approx(((2 - 2.5) ** 2 + (-0.5 - 1) ** 2) / 2)


def test_margin_mse_leaves_out_what_the_teacher_has_not_scored() -> None:
    teacher = TEACHER.clone()
    teacher[1, 3] = torch.nan
    assert margin_mse(batch(teacher=teacher)).item() == pytest.approx((2 - 5) ** 2)


def test_kl_compares_distributions_over_the_own_documents() -> None:
    expected = (divergence([9, 4], [3, 1]) + divergence([8, 6], [2, 2.5])) / 2
    assert kl(batch()).item() == pytest.approx(expected)


def test_kl_over_the_batch_leaves_out_what_the_teacher_has_not_scored() -> None:
    teacher = TEACHER.clone()
    teacher[0, 3] = torch.nan
    expected = (divergence([9, 4, 1], [3, 1, 0]) + divergence(TEACHER[1].tolist(), SCORES[1].tolist())) / 2
    assert kl(batch(teacher=teacher), candidates="batch").item() == pytest.approx(expected)


def test_kl_is_0_where_the_student_is_the_teacher() -> None:
    assert kl(batch(TEACHER), candidates="batch").item() == pytest.approx(0)


def test_min_max_brings_each_query_to_0_and_1() -> None:
    found = min_max(TEACHER, OWN)
    assert found[0, :2].tolist() == [1, 0] and found[1, 2:].tolist() == [1, 0]
    assert found[~OWN].isnan().all()
    assert min_max(torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool)).tolist() == [[0, 0, 0]]


def test_the_ensemble_is_the_weighted_mean_of_normalised_scores() -> None:
    everything = torch.ones_like(OWN)
    other = torch.tensor([[0.0, 100, 50, 0], [1, 0, 0, 0.5]], dtype=torch.float64)
    found = combined_scores([TEACHER, other], [3.0, 1.0], everything)
    first = [(3 * t + o) / 4 for t, o in zip([1, 4 / 9, 1 / 9, 0], [0, 1, 0.5, 0], strict=True)]
    second = [(3 * t + o) / 4 for t, o in zip([0, 0.25, 1, 0.75], [1, 0, 0, 0.5], strict=True)]
    assert found.tolist() == [pytest.approx(first), pytest.approx(second)]


def test_the_ensemble_knows_nothing_where_one_teacher_knows_nothing() -> None:
    other = TEACHER.clone()
    other[0, 1] = torch.nan
    found = combined_scores([TEACHER, other], [1, 1], torch.ones_like(OWN), normalise=False)
    assert found[0, 1].isnan() and not found[0, 0].isnan()


def test_overlap_labels_the_queries_own_terms_by_the_positives_text() -> None:
    no = -math.inf
    logits = torch.tensor([[2.0, -1.0, no], [no, 0.5, no]], dtype=torch.float64, requires_grad=True)
    standing = torch.tensor([[True, False, True], [False, True, False], [False, True, True], [True, True, True]])
    given = ScoredBatch(SCORES, POSITIVES, OWN, torch.zeros_like(OWN), None, logits, standing)

    def entropy(logit: float, label: bool) -> float:
        share = 1 / (1 + math.exp(-logit))
        return -math.log(share if label else 1 - share)

    value = overlap(given)
    assert value.item() == pytest.approx((entropy(2, True) + entropy(-1, False) + entropy(0.5, True)) / 3)
    value.backward()
    assert logits.grad is not None and torch.equal(logits.grad != 0, logits.detach().isfinite())
    with pytest.raises(UsageError, match="needs logits"):
        overlap(batch())


def test_regression_of_unit_vectors_is_two_minus_two_cosines() -> None:
    student = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0, 2.0], [0.0, 3.0, 4.0]]), dim=1)
    teacher = torch.nn.functional.normalize(torch.tensor([[2.0, 1.0, 2.0], [0.0, 3.0, 4.0]]), dim=1)
    cosines = (student * teacher).sum(1)
    assert vector_regression(student, teacher).item() == pytest.approx((2 - 2 * cosines).mean().item())


LOSSES: dict[str, Callable[[ScoredBatch], Tensor]] = {
    "infonce": infonce,
    "infonce, own": partial(infonce, candidates="own", temperature=0.7),
    "margin": partial(margin_triplet, margin=4.0),
    "margin_mse": margin_mse,
    "kl": kl,
    "kl, batch": partial(kl, candidates="batch", scale=0.3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    teacher: Any = TEACHER.clone()
    teacher[0, 3] = torch.nan
    scores = SCORES.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda s: LOSSES[name](batch(s, teacher=teacher)), scores)
