"""Documents into a transaction: cut, encoded and added; and the merge that follows a commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from lsr.encoders.threads import limited_threads
from lsr.errors import COMMITTED, IndexLockedError, LsrError, UsageError
from lsr.indexer.corpus.expansions.reading import EXPANSIONS, Expansions
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.document_reader import DocumentReader, reader_for
from lsr.indexer.encode.open_encoders import open_dense_encoder_of
from lsr.indexer.encode.windows import windows
from lsr.indexer.pipeline import COUNTED_AT_ONCE, ENCODED_AT_ONCE
from lsr.indexer.update.editor import Changes
from lsr.indexer.update.open_editor import Editor, merge_segments
from lsr.io.progress import Progress
from lsr.types import Document

log = logging.getLogger(__name__)


def take_documents(
    editor: Editor, documents: Iterable[Document], *, replacing: bool, expansions: Expansions | None = None
) -> None:
    """Encode documents and add them to a transaction, or put them in the place of those with their doc_ids.

    expansions: texts that the sparse encoder reads behind the documents' own; where those of the index had some and
    these have none, that is logged as a warning.
    """
    waiting = iter(documents)
    first = next(waiting, None)
    if first is None:  # no encoder needs to be opened
        return
    with limited_threads(editor.threads):
        _take(editor, chain([first], waiting), replacing=replacing, expansions=expansions)


def _take(editor: Editor, documents: Iterable[Document], *, replacing: bool, expansions: Expansions | None) -> None:
    if expansions is None and EXPANSIONS in editor.base.manifest.encoder:
        log.warning("the index's documents were expanded, these aren't: 'lsr add --expansions FILE' reads expansions")
    legs = Legs(editor.encoder, _dense_encoder(editor), expansions)
    words_alone = editor.encoder.corpus_weighting is not None and legs.dense is None
    size = COUNTED_AT_ONCE if words_alone else ENCODED_AT_ONCE
    reader = _reader(editor, legs)
    for batch in windows(documents if reader is None else reader.read(documents), max_documents=size):
        vectors = legs.encode(batch)
        assert vectors.sparse is not None
        (editor.update if replacing else editor.add)(batch, vectors.sparse, vectors.dense)
    for line in [] if reader is None else reader.summary():
        log.info(line)


def _dense_encoder(editor: Editor) -> Any:
    """Return what encodes documents for the dense vectors of an index, None if it has none."""
    described = editor.base.manifest.dense
    if described is None:
        return None
    if described["kind"] == editor.base.manifest.encoder["kind"]:  # one joint encoder gives both
        return editor.encoder
    return open_dense_encoder_of(editor.base)


def _reader(editor: Editor, legs: Legs) -> DocumentReader | None:
    """Return what cuts documents into passages as those of the index were, or leaves them whole as those were."""
    settings = editor.base.manifest.passages
    if settings is None:
        return reader_for(editor.encoder, legs.dense, passages=False)
    if not settings:
        raise UsageError("the index was made from ready vectors of passages: add those, as --vectors FILE.parquet")
    return reader_for(editor.encoder, legs.dense, passages=True, **settings)


def merged(changes: Changes, index: str | Path, *, merge: bool, threads: int, progress: Progress | None) -> Changes:
    """Merge small segments after a change, where that is due and wanted; return the change with what became of it."""
    if not merge:
        return changes
    try:
        return replace(changes, unmerged=merge_due(index, threads=threads, progress=progress))
    except BaseException as error:
        error.add_note(COMMITTED)
        raise


def merge_due(index: str | Path, *, threads: int = 2, progress: Progress | None = None) -> str | None:
    """Merge the segments that are due after a change, in a separate generation.

    The change is committed before, so a failure is no error: it is logged as a warning, and its reason returned.
    """
    try:
        merge_segments(index, only_due=True, threads=threads, progress=progress)
    except IndexLockedError:  # another writer is at it, and will find the same to be due
        return None
    except (LsrError, OSError, MemoryError) as error:
        # An error of the system names a remedy and "unchanged", which is said of the merge, not of the change.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or "not enough memory"
        log.warning(
            f"the change is committed, but its small segments can't be merged now ({reason}); searches are the same, "
            "and 'lsr merge --due' tries again"
        )
        return reason
    return None
