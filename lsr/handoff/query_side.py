"""The query side of an export: what encodes queries as the exported index would, without its documents."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.encode.open_encoders import malformed_as_damage, open_query_encoder_of
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.files import FileInfo, checksum, map_array, new_file, save_array
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import LARGEST_INDEX, Manifest, Part
from lsr.indexer.write.transaction import Workplace
from lsr.indexer.write.writer import now
from lsr.io.folder import Folder
from lsr.query.idf_weighting import idf_weighted
from lsr.version import __version__

FOLDER, FREQUENCIES = "query", "df.npy"
"""The folder, an index without documents, and the file beside it: documents that hold each term, int64."""


def write_query_side(index: StoredIndex, folder: Path) -> None:
    """Write the vocabulary, the encoder of queries and the document frequencies of an index into an export."""
    with Workplace.for_new(folder / FOLDER, overwrite=False) as place:
        described = index.manifest

        def copied(part: Part) -> Part:
            return place.save(part.kind, lambda to: _copy(part, index.folder, to))

        place.commit(
            Manifest(
                generation=place.generation,
                created=now(),
                library_version=__version__,
                encoder=described.encoder,
                scale=described.scale,
                n_clipped=0,
                vocabulary=copied(described.vocabulary),
                encoder_files=copied(described.encoder_files),
                segments=(),
                statistics=described.statistics,
            )
        )
    df = index.document_frequencies(np.arange(len(index.vocabulary), dtype=np.int32))
    save_array(folder / FREQUENCIES, df)


def _copy(part: Part, source: Folder, to: Folder) -> dict[str, FileInfo]:
    found = {}
    if part.files:
        folder = part.open(source)
        for name in part.files:
            with folder.open_file(name) as file, new_file(to / name) as copy:
                shutil.copyfileobj(file, copy)
            found[name] = checksum(to / name)
    return found


class Frequencies:
    """Document frequencies of a collection that is elsewhere (`lsr.query.idf_weighting.Collection`)."""

    def __init__(self, n_docs: int, df: npt.NDArray[np.int64]) -> None:
        self._n_docs = n_docs
        self._df = df

    def __len__(self) -> int:
        return self._n_docs

    def document_frequencies(self, term_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return how many documents hold each term."""
        found: npt.NDArray[np.int64] = self._df[term_ids]
        return found


def open_query_side(folder: Path, n_docs: int, *, encoder: str | Path | None = None) -> tuple[StoredIndex, Any]:
    """Open the vocabulary and the encoder of queries, their rarity that of the exported documents.

    encoder: where the model is now (default: where it was). Raises IndexMissingError, IndexDamagedError, EncoderError.
    """
    index = StoredIndex.open(folder / FOLDER, follow=False)
    df = map_array(folder / FREQUENCIES, np.int64, 1)
    in_range = len(df) == 0 or 0 <= int(df.min()) <= int(df.max()) <= n_docs <= LARGEST_INDEX
    if len(df) != len(index.vocabulary) or not in_range:
        raise IndexDamagedError(f"{folder / FREQUENCIES}: not of this vocabulary and {n_docs:,} documents; {REMEDY}")
    model = open_query_encoder_of(index, moved_to=encoder)
    with malformed_as_damage(index):
        return index, idf_weighted(model, Frequencies(n_docs, df), index.manifest.encoder)
