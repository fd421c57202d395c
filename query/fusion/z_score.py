"""z-score: each leg's scores in standard deviations from their mean.

Montague and Aslam, "Relevance Score Normalization for Metasearch" (CIKM 2001): zero mean, unit variance, and a
document that a leg didn't retrieve stands two deviations below the mean (their 2MUV, here without the shift by 2).
"""

from __future__ import annotations

import numpy as np

from lsr.query.fusion.fuser import Comparable
from lsr.query.fusion.ranked_list import Leg

MISSING = -2.0


def z_score(leg: Leg) -> Comparable:
    """Return (s − mean) / deviation, 0 where all scores are alike; −2 for a document that the leg lacks."""
    deviation = leg.scores.std()
    # Equal scores may have a deviation of a rounding error, which would be blown up.
    if leg.scores[0] == leg.scores[-1] or deviation == 0:
        return Comparable(np.zeros(len(leg)), MISSING)
    return Comparable((leg.scores - leg.scores.mean()) / deviation, MISSING)
