"""Other fields for documents that are there: nothing is encoded again, and no posting written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.arrays import save_arrays
from lsr.indexer.storage.documents import DocumentStore, rewrite_fields
from lsr.indexer.storage.fields import write_fields
from lsr.indexer.storage.files import DOCUMENTS, FIELDS_FILE
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest, SegmentInfo
from lsr.indexer.storage.segment import Segment
from lsr.indexer.update.chosen import Choice, chosen_ids, chosen_rows
from lsr.indexer.update.reweigh import link
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.types import PASSAGE_FIELDS, FieldValue
from lsr.version import __version__

RESERVED = frozenset({"doc_id", "title", "text"}) | PASSAGE_FIELDS


def update_fields(path: str | Path, values: Mapping[str, FieldValue], choice: Choice) -> tuple[Manifest, int]:
    """Give the chosen documents other values of some fields, in one transaction; return the manifest and their number.

    values: by field; None removes the field. Documents keep their places in the order of addition. Raises UsageError
    for a name that is no field, IndexMissingError, IndexDamagedError, IndexLockedError, and what `choice` raises.
    """
    for name in values:
        if name in RESERVED or not name:
            raise UsageError(f"{name!r} is no field: doc_id, title and text change with 'lsr update' of the document")
    path = Path(path)
    refuse_set(path, "fields are updated in")
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        rows = chosen_rows(index, choice)
        n_documents = len(chosen_ids(index, choice))
        if not n_documents or not values:
            return index.manifest, 0
        segments = [
            _rewritten(place, number, segment, chosen, values) if chosen.any() else segment.info
            for number, (segment, chosen) in enumerate(zip(index.segments, rows, strict=True))
        ]
        manifest = replace(
            index.manifest,
            generation=place.generation,
            created=now(),
            library_version=__version__,
            segments=tuple(segments),
        )
        place.commit(manifest)
        return manifest, n_documents


def _rewritten(
    place: Workplace,
    number: int,
    segment: Segment,
    rows: npt.NDArray[np.bool_],
    values: Mapping[str, FieldValue],
) -> SegmentInfo:
    """Write the documents of a segment and their columns again, and link everything else."""
    folder = place.folder(f"fields-{number}")
    info, checksums = rewrite_fields(folder / DOCUMENTS, segment.documents, rows, values)
    files = {DOCUMENTS: info, **save_arrays(folder, checksums)}
    files |= write_fields(folder, DocumentStore(folder / DOCUMENTS, segment.n_docs))
    for name, known in segment.info.part.files.items():
        if name not in files and name != FIELDS_FILE:
            link(segment.files / name, folder / name)
            files[name] = known
    return replace(segment.info, part=place.keep("segments", folder, files))
