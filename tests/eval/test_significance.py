"""Paired tests, checked against exact enumeration and simulation."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import LsrError
from lsr.eval.measures.significance import compare, holm, paired_t_test, per_query_differences, randomisation_test
from lsr.eval.reports.plots import plot_wins_and_losses

VALUES = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=12)


@given(VALUES)
def test_few_differences_are_tested_exactly(values: list[float]) -> None:
    # In whole thousandths: sums that are equal are equal to the last bit.
    differences = [round(1000 * value) for value in values]
    patterns = [sum(s * d for s, d in zip(signs, differences, strict=True))
                for signs in itertools.product((1, -1), repeat=len(differences))]  # fmt: skip
    exact = sum(abs(total) >= abs(sum(differences)) for total in patterns) / len(patterns)
    assert randomisation_test(np.array(values)) == pytest.approx(exact, abs=1e-9)


def test_the_t_test_is_the_textbooks() -> None:
    # Student's own data, "The Probable Error of a Mean" (1908): hours of sleep gained by two drugs.
    gained = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert paired_t_test(gained) == pytest.approx(0.00283, abs=5e-6)


def test_many_differences_agree_with_the_t_test_where_its_assumptions_hold() -> None:
    differences = np.random.default_rng(3).normal(0.02, 0.15, 300)
    p = randomisation_test(differences, n_resamples=100_000, seed=1)
    assert p == pytest.approx(paired_t_test(differences), abs=0.005)
    assert p == randomisation_test(differences, n_resamples=100_000, seed=1)


def test_equal_systems_are_never_different() -> None:
    for n in (0, 1, 5, 100):
        assert paired_t_test(np.zeros(n)) == 1.0
        assert randomisation_test(np.zeros(n)) == 1.0
    assert paired_t_test(np.array([0.3])) == 1.0
    assert paired_t_test(np.full(5, 0.3)) == 0.0


def test_p_values_are_uniform_when_nothing_differs() -> None:
    rng = np.random.default_rng(0)
    p = [randomisation_test(rng.choice([-1, 1], 40) * rng.random(40), n_resamples=400, seed=i) for i in range(400)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p(values: list[float]) -> None:
    corrected = holm(values)
    assert all(value <= c <= min(1.0, len(values) * value) + 1e-12 for value, c in zip(values, corrected, strict=True))
    for i, first in enumerate(values):
        assert all(corrected[i] <= corrected[j] for j, second in enumerate(values) if first < second)


def test_every_pair_is_compared_and_corrected_together() -> None:
    rng = np.random.default_rng(5)
    base = {f"q{i}": float(x) for i, x in enumerate(rng.random(60))}
    better = {q: x + 0.1 + float(rng.random()) * 0.05 for q, x in base.items()}
    rows = compare({"d1": {"a": base, "b": better, "c": base}, "d2": {"a": base, "b": base}})
    assert [(row.dataset, row.a, row.b) for row in rows] == [
        ("d1", "a", "b"),
        ("d1", "a", "c"),
        ("d1", "b", "c"),
        ("d2", "a", "b"),
    ]
    assert (rows[0].wins, rows[0].ties, rows[0].losses, rows[0].n_queries) == (60, 0, 0, 60)
    assert rows[0].difference == pytest.approx(rows[0].mean_b - rows[0].mean_a) and rows[0].difference > 0.1
    assert rows[2].losses == 60 and rows[1].ties == 60
    assert rows[0].p_randomised_holm < 1e-3 and rows[1].p_randomised_holm == 1.0
    assert all(row.p_t_holm >= row.p_t for row in rows)


def test_systems_measured_on_other_queries_are_not_compared() -> None:
    with pytest.raises(LsrError, match=r"different queries.*'q2'"):
        per_query_differences({"q1": 0.1}, {"q1": 0.1, "q2": 0.2})


def test_wins_and_losses_are_drawn(tmp_path: Path) -> None:
    differences = {f"query-{i}": (i - 40) / 100 for i in range(100)}
    path = tmp_path / "plots" / "wins.png"
    plot_wins_and_losses(differences, path, a="bm25", b="splade", measure="nDCG@10", dataset="tiny")
    assert path.read_bytes().startswith(b"\x89PNG")
    plot_wins_and_losses({"only": 0.0}, path, a="a", b="b", measure="P@10", dataset="tiny")
    assert path.stat().st_size > 1000
