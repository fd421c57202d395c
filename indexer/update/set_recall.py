"""Recall of approximate searches, kept with an index as its next generation; documents and postings stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.version import __version__


def set_recall(path: str | Path, recall: Mapping[str, Any] | None) -> Manifest:
    """Keep what was measured; None: forget it. Nothing is written where it is the same.

    recall: as of `lsr.query.recall.measure_recall`. Raises UsageError for a set of shards, IndexMissingError,
    IndexDamagedError, IndexLockedError.
    """
    path = Path(path)
    refuse_set(path, "recall is kept with")
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        if index.manifest.recall == recall:
            return index.manifest
        manifest = replace(
            index.manifest, generation=place.generation, created=now(), library_version=__version__, recall=recall
        )
        place.commit(manifest)
        return manifest
