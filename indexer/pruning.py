"""Static pruning of an index, and the recall of its approximate searches, as its manifest records them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pruning:
    """A record of the pruning of an index, for its manifest.

    mass: share of a document's mass whose terms are kept, above 0 and below 1. n_dropped: postings left out so far.
    recall: mean share of the 10 best unpruned documents that pruned ones give, among `n_sampled` documents when the
    index was made; None where there were none.
    """

    mass: float
    n_dropped: int = 0
    recall: float | None = None
    n_sampled: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Pruning:
        """Read the values that `to_json` wrote. Raises ValueError, TypeError or KeyError for others."""
        mass, recall = content["mass"], content["recall"]
        if not _is_share(mass) or not 0 < mass < 1:
            raise ValueError(f"mass is {mass!r:.40}; it must be above 0 and below 1")
        if recall is not None and not _is_share(recall):
            raise ValueError(f"recall is {recall!r:.40}; it must be 0 to 1")
        n_dropped, n_sampled = _counts(content, "n_dropped", "n_sampled").values()
        return cls(mass, n_dropped, recall, n_sampled)


def recall_from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `lsr.query.recall.measure_recall` found. Raises ValueError, TypeError, KeyError for other values."""
    levels = {str(level): {str(k): share for k, share in found.items()} for level, found in content["levels"].items()}
    if not all(_is_share(share) for found in levels.values() for share in found.values()):
        raise ValueError(f"recall is {levels!r:.40}; it must be 0 to 1")
    return {**_counts(content, "generation", "n_docs", "n_queries"), "levels": levels}


def _counts(content: Mapping[str, Any], *names: str) -> dict[str, int]:
    counts = {name: content[name] for name in names}
    if any(type(number) is not int or number < 0 for number in counts.values()):
        raise ValueError(f"{counts!r:.60} are not counts")
    return counts


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]


def pruning_together(shards: Sequence[Pruning | None]) -> Pruning | None:
    """Return the record of a set, of its shards' records: counts added up, recall the mean by sampled documents."""
    pruned = [shard for shard in shards if shard is not None]
    if not pruned:
        return None
    measured = [shard for shard in pruned if shard.recall is not None]
    n_sampled = sum(shard.n_sampled for shard in measured)
    recall = sum((shard.recall or 0.0) * shard.n_sampled for shard in measured) / n_sampled if n_sampled else None
    n_dropped = sum(shard.n_dropped for shard in pruned)
    return Pruning(pruned[0].mass, n_dropped, None if recall is None else round(recall, 4), n_sampled)
