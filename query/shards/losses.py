"""Errors of searches that shards of a set didn't answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsr.errors import ShardDamagedError, ShardLostError
from lsr.types import MissingShard


def lost_error(path: Path, missing: Sequence[MissingShard], *, damage: bool) -> ShardLostError:
    """Return the error of a search that lacks shards. damage: they are damaged or missing, rather than silent."""
    what = "; ".join(f"shard {shard.name}: {shard.reason}" for shard in missing)
    kind = ShardDamagedError if damage else ShardLostError
    return kind(
        f"the set at {path} can't be searched as a whole: {what}. --partial (partial=True) answers without it",
        {shard.name: shard.reason for shard in missing},
    )


def refuse_missing(path: Path, missing: Sequence[MissingShard]) -> None:
    """Raise ShardDamagedError for a set that was opened without some of its shards, where answers have to be whole."""
    if missing:
        raise lost_error(path, missing, damage=True)
