"""Regularisers give what their papers say, by hand, and gradients that finite differences confirm."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lsr.encoders.network.activations import log1p_log1p_relu
from lsr.errors import UsageError
from lsr.training.model.sampled_terms import sample_terms
from lsr.training.regularisers.anti_collapse import peak_hinge, spread_hinge
from lsr.training.regularisers.base import Regulariser, TermWeights
from lsr.training.regularisers.df_flops import DFFLOPS, activation
from lsr.training.regularisers.flops import FLOPS, joint_flops
from lsr.training.regularisers.idf_flops import IDFAwareFLOPS
from lsr.training.regularisers.l0_mask import L0Mask
from lsr.training.regularisers.l1 import L1
from lsr.training.regularisers.term_budget import TermBudget
from lsr.training.sparsity.schedules import SCHEDULES

WEIGHTS = [[1.0, 0.0, 2.0, 0.0], [3.0, 0.0, 0.0, 0.0]]


def texts(rows: list[list[float]] | Tensor = WEIGHTS, **parts: Tensor) -> TermWeights:
    return TermWeights(torch.as_tensor(rows, dtype=torch.float64), **parts)


def test_flops_is_the_sum_of_squared_means() -> None:
    assert FLOPS(3)(texts()).item() == 2.0**2 + 1.0**2
    assert IDFAwareFLOPS(3)(texts()).item() == FLOPS(3)(texts()).item()


def test_l1_is_the_mean_sum() -> None:
    assert L1(3)(texts()).item() == (3 + 3) / 2


def test_joint_flops_are_the_products_of_means() -> None:
    queries = texts([[1.0, 4.0, 0.0, 0.0]])
    assert joint_flops(queries, texts()).item() == 1 * 2 + 4 * 0


def test_the_mask_lets_documents_in_that_have_more_terms_than_the_threshold() -> None:
    assert L0Mask(3, threshold=1)(texts()).item() == 0.5**2 + 1.0**2
    assert L0Mask(3, threshold=2)(texts()).item() == 0
    assert L0Mask(3, threshold=0)(texts()).item() == FLOPS(3)(texts()).item()


def test_the_l0_activation_is_a_second_logarithm() -> None:
    assert log1p_log1p_relu(torch.tensor([-1.0, 0.0, math.e - 1])).tolist() == pytest.approx([0, 0, math.log(2)])


def test_df_flops_weigh_each_mean_by_the_share_of_documents() -> None:
    regulariser = DFFLOPS(4, memory=0.0)  # the shares are those of this batch: 1, 0, ½, 0

    def a(x: float) -> float:
        return 1 / (1 + (x ** (math.log(2) / math.log(0.1)) - 1) ** 10)

    expected = (a(1.0) * 2.0) ** 2 + (a(0.5) * 1.0) ** 2
    assert regulariser(texts(torch.tensor(WEIGHTS))).item() == pytest.approx(expected, rel=1e-5)


def test_the_df_activation_is_a_half_at_alpha_and_rises_from_0_to_1() -> None:
    shares = torch.tensor([0.0, 0.01, 0.1, 0.5, 1.0])
    values = activation(shares, 0.1, 10.0).tolist()
    assert values[0] == 0 and values[2] == pytest.approx(0.5) and values[4] == 1
    assert values == sorted(values)


def test_document_frequencies_are_a_running_mean_that_a_checkpoint_keeps() -> None:
    regulariser, fresh = DFFLOPS(4, memory=0.9), DFFLOPS(4, memory=0.9)
    batch = texts(torch.tensor(WEIGHTS))
    regulariser(batch)
    fresh.load(regulariser.state())
    assert torch.equal(fresh(batch), regulariser(batch))
    shares = regulariser.state()["shares"] / regulariser.state()["seen"]
    assert shares.tolist() == pytest.approx([1, 0, 0.5, 0])


def test_a_budget_is_felt_by_the_terms_beyond_it_alone() -> None:
    regulariser = TermBudget(4, budget=0.5, rate=0.5, memory=0.0)
    batch = texts(torch.tensor(WEIGHTS))  # shares: 1, 0, ½, 0
    penalties = [regulariser(batch).item() for _ in range(3)]
    assert penalties == pytest.approx([(1 + 0.5 * n) * 4 + 1 for n in (1, 2, 3)])
    regulariser(texts(torch.tensor([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])))  # the first term is within: 1.5 − ½
    assert regulariser.state()["multipliers"].tolist() == pytest.approx([1.0, 0, 0, 0])


def test_a_budget_of_sampled_terms_is_kept_by_term_and_by_a_checkpoint() -> None:
    regulariser, fresh = TermBudget(8, budget=0.1), TermBudget(8, budget=0.1)
    rows = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    parts = {"term_ids": torch.tensor([2, 6]), "counts": torch.tensor([1.0, 3.0])}
    regulariser(TermWeights(rows, **parts))
    assert [i for i, value in enumerate(regulariser.state()["multipliers"].tolist()) if value] == [2, 6]
    fresh.load(regulariser.state())
    assert torch.equal(fresh(TermWeights(rows, **parts)), regulariser(TermWeights(rows, **parts)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TermBudget(4, budget=0), "budget is 0"),
        (lambda: TermBudget(4, rate=0), "rate is 0"),
        (lambda: TermBudget(4, memory=1), "memory is 1"),
        (lambda: DFFLOPS(4, alpha=1), "alpha is 1"),
        (lambda: DFFLOPS(4, beta=0), "beta is 0"),
        (lambda: DFFLOPS(4, memory=-1), "memory is -1"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], Regulariser], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    "make", [lambda: FLOPS(6), lambda: L1(6), lambda: L0Mask(6, threshold=1), lambda: DFFLOPS(6, memory=0.5)]
)
def test_gradients_are_those_of_finite_differences(make: Callable[[], Regulariser]) -> None:
    weights = torch.rand(3, 6, dtype=torch.float64) + 0.1  # away from the corner at 0
    weights.requires_grad_(True)
    counts = torch.tensor([1.0, 1, 1, 2, 2, 2], dtype=torch.float64)
    regulariser = make()
    assert torch.autograd.gradcheck(lambda w: regulariser(TermWeights(w, counts=counts)), weights)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_a_sample_of_terms_keeps_the_expected_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vocab_size, n_others = 40, 10
    values = rng.random(vocab_size)
    wanted = rng.choice(vocab_size, 7)
    sums = []
    for _ in range(400):
        sample = sample_terms(wanted, vocab_size, n_others, rng)
        assert set(wanted) <= set(sample.term_ids) and len(set(sample.term_ids)) == len(sample.term_ids)
        assert (np.diff(sample.term_ids) > 0).all()
        assert (sample.counts[np.isin(sample.term_ids, wanted)] == 1).all()
        assert sample.counts.sum() == pytest.approx(vocab_size)
        sums.append((values[sample.term_ids] * sample.counts).sum())
    assert np.mean(sums) == pytest.approx(values.sum(), rel=0.06)


def test_a_sample_as_large_as_the_rest_is_all_terms() -> None:
    sample = sample_terms(np.array([3, 3, 1]), 6, 100, np.random.default_rng(0))
    assert sample.term_ids.tolist() == list(range(6)) and sample.counts.tolist() == [1] * 6


def test_counts_make_a_term_stand_for_several() -> None:
    counts = torch.tensor([1.0, 1.0, 5.0, 1.0])
    assert FLOPS(3)(texts(counts=counts)).item() == 4 + 5 * 1
    assert texts(counts=counts).active_terms().tolist() == [6, 1]


def test_the_peak_hinge_lifts_texts_that_have_lost_all_terms() -> None:
    logits = torch.tensor([[-2.0, -1.0], [3.0, -5.0]], requires_grad=True)
    loss = peak_hinge(TermWeights(torch.relu(logits), logits=logits))
    assert loss.item() == pytest.approx((0.1 + 1.0) / 2)
    loss.backward()
    assert logits.grad is not None and logits.grad.tolist() == [[0, -0.5], [0, 0]]


def test_the_peak_hinge_needs_logits() -> None:
    with pytest.raises(UsageError, match=r"sparsity\.collapse\.peak needs logits"):
        peak_hinge(texts())


def test_the_spread_hinge_is_0_where_scores_differ() -> None:
    assert spread_hinge(torch.tensor([[1.0, 1.0], [0.0, 4.0]])).item() == pytest.approx(0.5)


def test_schedules_grow_to_the_full_weight() -> None:
    assert [SCHEDULES["quadratic"](step, 100) for step in (0, 50, 100, 500)] == [0, 0.25, 1, 1]
    assert [SCHEDULES["linear"](step, 100) for step in (0, 50, 100, 500)] == [0, 0.5, 1, 1]
    assert [SCHEDULES["constant"](step, 100) for step in (0, 50)] == [1, 1]
    assert all(schedule(0, 0) == 1 for schedule in SCHEDULES.values())
