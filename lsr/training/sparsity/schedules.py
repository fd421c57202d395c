"""Schedules of a regulariser's weight over the first steps: its full weight at once would empty all vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def constant(step: int, steps: int) -> float:
    """Return 1."""
    del step, steps
    return 1.0


def linear(step: int, steps: int) -> float:
    """Return min(1, t / T)."""
    return min(1.0, step / steps) if steps else 1.0


def quadratic(step: int, steps: int) -> float:
    """Return min(1, t / T)²: Paria et al. (ICLR 2020, arXiv:2004.05665), and SPLADE after them."""
    return linear(step, steps) ** 2


SCHEDULES: Mapping[str, Callable[[int, int], float]] = {
    "constant": constant,
    "linear": linear,
    "quadratic": quadratic,
}
"""Schedules by name: functions of step (from 0) and length of the ramp to the share of the full weight."""
