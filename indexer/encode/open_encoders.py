"""Encoders that an index was made with, opened by what its manifest says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.errors import IndexDamagedError, UsageError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.checks_on_read import check_files, refuse_links
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import READY_VECTORS, ReadyVectors


@contextmanager
def malformed_as_damage(index: StoredIndex) -> Iterator[None]:
    """Turn what a malformed description of an encoder makes its loader raise into IndexDamagedError.

    A description is a stranger's JSON: each loader knows which values it needs, and reads them as if they were there.
    """
    try:
        yield
    except (AttributeError, TypeError, LookupError, ValueError, OverflowError, RecursionError) as error:
        raise IndexDamagedError(
            f"{index.path}: the description of its encoder, or a file of it, is malformed ({error!r:.200}); {REMEDY}"
        ) from error


def open_query_encoder_of(index: StoredIndex, *, moved_to: str | Path | None = None) -> Any:
    """Open the encoder of an index's queries (`lsr.encoders.base.QueryEncoder`), over the vocabulary of the index.

    moved_to: folder of the model, if it isn't where it was. Raises EncoderError if it can't be loaded, or is another
    than the index was made with; IndexDamagedError for files that are not what was written.
    """
    manifest = index.manifest
    if manifest.encoder["kind"] == READY_VECTORS:
        return ReadyVectors()
    from lsr.encoders.registry import open_query_encoder

    part, vocabulary = manifest.encoder_files, index.vocabulary
    check_files(index.folder, part, part.files)
    folder = part.open(index.folder) if part.files else None
    if folder is not None:
        refuse_links(folder)
    with malformed_as_damage(index):
        return open_query_encoder(manifest.encoder, folder, vocabulary.lookup, len(vocabulary), moved_to=moved_to)


def open_dense_encoder_of(index: StoredIndex, *, moved_to: str | Path | None = None) -> Any:
    """Open the encoder of an index's dense vectors (`lsr.encoders.dense.base.DenseEncoder`).

    moved_to: as for `open_query_encoder_of`. Raises UsageError for an index without dense vectors, EncoderError if the
    encoder can't be loaded, or is another than the documents'.
    """
    from lsr.encoders.registry import open_dense_encoder

    if index.manifest.dense is None:
        raise UsageError(
            f"the index at {index.path} has no dense vectors: add them by 'lsr index --index {index.path} "
            "--dense E', E being a dense model"
        )
    with malformed_as_damage(index):
        return open_dense_encoder(index.manifest.dense, moved_to=moved_to)
