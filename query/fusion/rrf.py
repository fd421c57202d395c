"""Reciprocal rank fusion: ranks alone count.

Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
(SIGIR 2009). What a leg didn't retrieve adds nothing.
"""

from __future__ import annotations

import numpy as np

from lsr.query.fusion.fuser import Comparable
from lsr.query.fusion.ranked_list import Leg

K = 60
"""The paper's constant: how little the first ranks differ."""


def reciprocal_rank(leg: Leg) -> Comparable:
    """Return 1 / (60 + rank), ranks from 1; 0 for a document that the leg lacks."""
    return Comparable(1.0 / (K + np.arange(1, len(leg) + 1)), 0.0)
