"""How a weight grows over the first steps: sparsity asked for at once would end the training before it began."""

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
"""By name: of the step, from 0, and of the steps that the growth takes, the share of the full weight."""
