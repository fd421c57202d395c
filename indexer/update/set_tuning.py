"""Settings of hybrid search for an index, as its next generation; documents and postings stay what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
    path = Path(path)
    refuse_set(path, "hybrid search is tuned for")
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        if index.manifest.tuning == tuning:
            return index.manifest
        manifest = replace(
            index.manifest, generation=place.generation, created=now(), library_version=__version__, tuning=tuning
        )
        place.commit(manifest)
        return manifest
