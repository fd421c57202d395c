"""Documents found by their best passage (MaxP), one hit a document, exactly.

Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling" (SIGIR 2019,
arXiv:1905.09217).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lsr.query.engine import Ranking

FIRST_DEPTH, DEEPER = 2, 4
"""Passages asked for at first for each document wanted, and how many times as many where these were too few."""


def best_passages(
    rank: Callable[[int], Ranking], document_ids: Callable[[npt.NDArray[np.int64]], Sequence[str]], k: int
) -> Ranking:
    """Return the k documents whose best passages score highest, as a ranking of those passages.

    rank: the ranking of so many passages. document_ids: the id of the document that each position is of.
    Passages are asked for until k documents are found, or there are no more, so that none is missed. Of passages that
    score alike the first of a document is its best, so ties between documents stay in the order of insertion.
    """
    depth = FIRST_DEPTH * k
    while True:
        ranking = rank(depth)
        best: dict[str, int] = {}
        for place, doc_id in enumerate(document_ids(ranking.positions)):
            best.setdefault(doc_id, place)
        if len(best) >= k or len(ranking) < depth:
            places = np.fromiter(best.values(), np.int64, len(best))[:k]
            return replace(ranking, positions=ranking.positions[places], scores=ranking.scores[places])
        depth *= DEEPER
