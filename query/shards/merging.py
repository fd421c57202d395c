"""Merging of the rankings of shards into those of their set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lsr.query.engine.approximate import Approximate
from lsr.query.engine.engine import Ranking
from lsr.query.shards.open_shards import Reply


def merged_rankings(replies: Sequence[Reply], n: int, k: int, approximate: Approximate | None) -> list[Ranking]:
    """Return the k best documents of n queries: by score, then in the order of addition. replies: to `rank`."""
    if not replies:
        return [Ranking(np.empty(0, np.int64), np.empty(0), approximate=approximate)] * n
    parts = [_Part(reply) for reply in replies]
    found = []
    for query in range(n):
        some = [part.of(query) for part in parts]
        if len(some) == 1:
            positions, scores = some[0][:2]
        else:
            positions, scores = (np.concatenate([one[i] for one in some]) for i in (0, 1))
            best = np.lexsort((positions, -scores))[:k]
            positions, scores = positions[best], scores[best]
        traversals = tuple(name for *_, ran in some for name in ran)
        postings, bounded, scored, skipped = (sum(counts) for counts in zip(*(one[2] for one in some), strict=True))
        found.append(Ranking(positions, scores, traversals, postings, bounded, scored, skipped, approximate))
    return found


class _Part:
    """The rankings of one shard."""

    def __init__(self, reply: Reply) -> None:
        _, traversals, (counts, self._positions, self._scores, facts, ran) = reply
        names = [tuple(names) for names in traversals]
        self._ends = [0, *np.cumsum(counts).tolist()]
        self._facts: list[list[int]] = facts.tolist()
        self._ran = [names[number] for number in ran.tolist()]

    def of(self, query: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], list[int], tuple[str, ...]]:
        """Return positions, scores, counts and traversals of one query."""
        span = slice(self._ends[query], self._ends[query + 1])
        return self._positions[span], self._scores[span], self._facts[query], self._ran[query]
