"""Significance of differences between systems: paired tests over queries, corrected for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, MissingExtraError

N_RESAMPLES = 100_000
MOST_EXACT = 14
"""Differences of which all sign patterns are tried."""

_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same queries. A positive `difference` means that `b` is better than `a`.

    p_t and p_randomised are two-sided; the `_holm` ones are corrected for all comparisons of the same call.
    """

    dataset: str
    measure: str
    a: str
    b: str
    n_queries: int
    mean_a: float
    mean_b: float
    difference: float
    wins: int
    ties: int
    losses: int
    p_t: float
    p_randomised: float
    p_t_holm: float
    p_randomised_holm: float


def paired_t_test(differences: npt.NDArray[np.float64]) -> float:
    """Return the two-sided p of Student's paired t test that the mean difference is 0.

    differences: (n_queries). Those that are all 0 give 1, as does a single one; all equal but not 0 give 0.
    """
    if len(differences) < 2 or not np.any(differences):
        return 1.0
    if np.ptp(differences) == 0.0:
        return 0.0
    return float(_scipy_stats().ttest_1samp(differences, 0.0).pvalue)


def randomisation_test(differences: npt.NDArray[np.float64], *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p of Fisher's paired randomisation test, which assumes no distribution.

    differences: (n_queries). Each resample flips the sign of each difference by a coin, and p is the share of them,
    the observed one among them, whose mean is at least as far from 0. Up to 14 differences other than 0 every sign
    pattern is tried, and p is exact. Recommended for retrieval by Smucker, Allan and Carterette (CIKM 2007).
    """
    moving = differences[differences != 0.0]
    if len(moving) < 2:
        return 1.0
    stats = _scipy_stats()
    if len(moving) <= MOST_EXACT:
        exact = stats.permutation_test(
            (moving,), _distance_from_0, permutation_type="samples", vectorized=True, alternative="greater",
            n_resamples=np.inf,
        )  # fmt: skip
        return float(exact.pvalue)
    rng = np.random.default_rng(seed)

    # permutation_test samples pairs by sorting: five times slower than drawing signs.
    def resampled(size: tuple[int, ...]) -> npt.NDArray[np.float64]:
        flipped: npt.NDArray[np.float64] = np.where(rng.integers(0, 2, size, dtype=np.int8), moving, -moving)
        return flipped

    sampled = stats.monte_carlo_test(
        moving, resampled, _distance_from_0, vectorized=True, n_resamples=n_resamples, alternative="greater",
        batch=max(1, _CHUNK_CELLS // len(moving)),
    )  # fmt: skip
    return float(sampled.pvalue)


def _distance_from_0(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    # Sums that are equal on paper differ in their last bits, by the order of summing.
    distances: npt.NDArray[np.float64] = np.abs(values.sum(axis=axis).round(9))
    return distances


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError("scipy", "eval") from error
    return stats


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method, in the order given (Holm 1979)."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[i]))
        corrected[i] = largest
    return corrected


def per_query_differences(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """Return `b − a` for each query. Raises LsrError unless both hold the same queries."""
    if a.keys() != b.keys():
        lone = sorted(a.keys() ^ b.keys())
        raise LsrError(
            f"the systems were measured on different queries: {len(lone)} are in one only, such as {lone[0]!r};"
            " measure both against the same qrels"
        )
    return {query_id: b[query_id] - value for query_id, value in a.items()}


def compare(
    results: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    measure: str = "nDCG@10",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every pair of systems on every dataset; Holm's correction spans all the comparisons returned.

    results: `{dataset: {system: {query_id: metric}}}`. Raises LsrError where two systems have other queries.
    """
    rows: list[tuple[str, str, str, npt.NDArray[np.float64], float, float]] = []
    for dataset, systems in results.items():
        for a, b in combinations(systems, 2):
            differences = np.fromiter(per_query_differences(systems[a], systems[b]).values(), np.float64)
            mean_a = math.fsum(systems[a].values()) / max(1, len(differences))
            mean_b = math.fsum(systems[b].values()) / max(1, len(differences))
            rows.append((dataset, a, b, differences, mean_a, mean_b))
    p_t = [paired_t_test(row[3]) for row in rows]
    p_randomised = [randomisation_test(row[3], n_resamples=n_resamples, seed=seed) for row in rows]
    return [
        Comparison(
            dataset=dataset,
            measure=measure,
            a=a,
            b=b,
            n_queries=len(differences),
            mean_a=mean_a,
            mean_b=mean_b,
            difference=mean_b - mean_a,
            wins=int(np.count_nonzero(differences > 0)),
            ties=int(np.count_nonzero(differences == 0)),
            losses=int(np.count_nonzero(differences < 0)),
            p_t=one_p_t,
            p_randomised=one_p_r,
            p_t_holm=one_t_holm,
            p_randomised_holm=one_r_holm,
        )
        for (dataset, a, b, differences, mean_a, mean_b), one_p_t, one_p_r, one_t_holm, one_r_holm in zip(
            rows, p_t, p_randomised, holm(p_t), holm(p_randomised), strict=True
        )
    ]
