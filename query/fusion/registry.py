"""Fusers by name: what `--fusion` and `Searcher(…, fuser=…)` take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsr.errors import UsageError
from lsr.query.fusion.dbsf import distribution_based
from lsr.query.fusion.fuser import Fuser, Method
from lsr.query.fusion.min_max import min_max
from lsr.query.fusion.rrf import reciprocal_rank
from lsr.query.fusion.tm2c2 import LEXICAL_AND_SEMANTIC, theoretical_min_max
from lsr.query.fusion.z_score import z_score

RANKS_ALONE = "rrf"
"""The method for which scores don't count."""
METHODS: Mapping[str, Method] = {
    "min-max": min_max,
    "tm2c2": theoretical_min_max,
    "z-score": z_score,
    RANKS_ALONE: reciprocal_rank,
    "dbsf": distribution_based,
}
DEFAULT_FUSER = "min-max"


def make_fuser(name: str = DEFAULT_FUSER, *, weights: Sequence[float] | None = None) -> Fuser:
    """Return a fuser.

    weights: one a leg; default, all alike, and for `tm2c2` the paper's own for a lexical and a semantic leg, in
    that order. Raises UsageError for an unknown name or weights outside their range.
    """
    if name not in METHODS:
        raise UsageError(f"unknown fusion {name!r}: use one of {', '.join(METHODS)}")
    if weights is None:
        return Fuser(name, METHODS[name], LEXICAL_AND_SEMANTIC if name == "tm2c2" else None)
    return Fuser(name, METHODS[name], tuple(float(weight) for weight in weights))
