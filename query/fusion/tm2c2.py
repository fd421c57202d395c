"""TM2C2: a convex combination of scores scaled from the least that is possible to the largest that was found.

Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (ACM TOIS 2023), section 4: with the
theoretical minimum instead of the least retrieved score, a value doesn't depend on how many documents were asked for.
"""

from __future__ import annotations

import numpy as np

from lsr.errors import UsageError
from lsr.query.fusion.fuser import Comparable
from lsr.query.fusion.ranked_list import Leg

LEXICAL_AND_SEMANTIC = (0.2, 0.8)
"""The paper's α = 0.8 for the semantic leg, which it found on MS MARCO and used elsewhere."""


def theoretical_min_max(leg: Leg) -> Comparable:
    """Return (s − minimum) / (max − minimum), 1 where the largest is the minimum.

    The paper computes every score of the union; a document that a leg lacks, and that nobody scored there, counts 0,
    as if its score were the least possible. Raises UsageError for a leg whose least possible score nobody knows.
    """
    if leg.minimum is None:
        raise UsageError("tm2c2 needs the least score that each leg can give, but a leg has none: use min-max")
    low, high = leg.minimum, leg.scores[0]
    values = (leg.scores - low) / (high - low) if high > low else np.ones(len(leg))
    return Comparable(values, 0.0)
