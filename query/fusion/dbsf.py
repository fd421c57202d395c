"""Distribution-based score fusion: each leg's scores between three deviations below and above their mean.

Mazzeschi, "Distribution-Based Score Fusion (DBSF), a new approach to Vector Search Ranking" (2023). An outlier
then doesn't press all others together, as it does with min-max. What a leg didn't retrieve adds nothing.
"""

from __future__ import annotations

import numpy as np

from lsr.query.fusion.fuser import Comparable
from lsr.query.fusion.ranked_list import Leg

DEVIATIONS = 3.0
ALL_ALIKE = 0.5


def distribution_based(leg: Leg) -> Comparable:
    """Return (s − (μ − 3σ)) / 6σ; ½ where all scores are equal, 0 for a missing document."""
    deviation = leg.scores.std()
    if leg.scores[0] == leg.scores[-1] or deviation == 0:
        return Comparable(np.full(len(leg), ALL_ALIKE), 0.0)
    return Comparable((leg.scores - leg.scores.mean()) / (2 * DEVIATIONS * deviation) + 0.5, 0.0)
