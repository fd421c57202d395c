"""Settings and measurements kept with an index, as its next generation; documents and postings stay what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.version import __version__


def set_tuning(path: str | Path, tuning: HybridTuning | None) -> Manifest:
    """Keep settings of hybrid search with an index; None: the usual ones. Nothing is written where they are the same.

    Raises UsageError for a set of shards, IndexMissingError, IndexDamagedError, IndexLockedError.
    """
    return _set(Path(path), "hybrid search is tuned for", "tuning", tuning)


def set_recall(path: str | Path, recall: Mapping[str, Any] | None) -> Manifest:
    """Keep what approximate search was measured to find; None: forget it. Nothing is written where it is the same.

    recall: as of `lsr.query.recall.measure_recall`. Raises UsageError for a set of shards, IndexMissingError,
    IndexDamagedError, IndexLockedError.
    """
    return _set(Path(path), "recall is kept with", "recall", recall)


def _set(path: Path, refusal: str, field: str, value: Any) -> Manifest:
    refuse_set(path, refusal)
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        if getattr(index.manifest, field) == value:
            return index.manifest
        changed: dict[str, Any] = {field: value, "generation": place.generation, "created": now()}
        manifest = replace(index.manifest, library_version=__version__, **changed)
        place.commit(manifest)
        return manifest
