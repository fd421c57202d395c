"""Min-max: each leg's scores between its own least and largest of this query.

Fox and Shaw, "Combination of Multiple Searches" (TREC-2, 1993) add scores up (CombSUM), Lee, "Analyses of Multiple
Evidence Combination" (SIGIR 1997) scales them so before. What a leg didn't retrieve adds nothing.
"""

from __future__ import annotations

import numpy as np

from lsr.query.fusion.fuser import Comparable
from lsr.query.fusion.ranked_list import Leg


def min_max(leg: Leg) -> Comparable:
    """Return (s − min) / (max − min); 1 where all scores are equal, 0 for a missing document."""
    low, high = leg.scores[-1], leg.scores[0]
    values = (leg.scores - low) / (high - low) if high > low else np.ones(len(leg))
    return Comparable(values, 0.0)
