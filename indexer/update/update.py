"""The ways to change an index: documents, corpora and ready vectors added or replaced, and documents deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, term_ids_of
from lsr.encoders.threads import limited_threads
from lsr.errors import COMMITTED, IndexLockedError, LsrError, UsageError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.open_encoders import open_dense_encoder_of
from lsr.indexer.encode.windows import windows
from lsr.indexer.pipeline import COUNTED_AT_ONCE, ENCODED_AT_ONCE, Corpus
from lsr.indexer.transfer.read_vectors import READY_VECTORS, ReadyVectors, read_vectors
from lsr.indexer.update.editor import Changes, IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document

log = logging.getLogger(__name__)


def add_documents(
    documents: Iterable[Document],
    index: str | Path,
    *,
    encoder: Encoder | None = None,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Changes:
    """Add documents to an index in one transaction.

    encoder: that of the index where it is loaded already; by default the index opens it. merge: merge small segments
    afterwards where that is due. Raises BadDocumentError for a doc_id that is there already, LsrError if there is no
    document, and what IndexEditor and the encoder raise.
    """
    with (
        limited_threads(threads),
        IndexEditor(index, encoder=encoder, threads=threads, progress=progress) as editor,
    ):
        changes = _take(editor, documents, replacing=False)
    return _merged(changes, index, merge=merge, threads=threads, progress=progress)


def update_documents(
    documents: Iterable[Document],
    index: str | Path,
    *,
    encoder: Encoder | None = None,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Changes:
    """Add documents to an index, each in the place of the one with its doc_id if there is one. See `add_documents`."""
    with (
        limited_threads(threads),
        IndexEditor(index, encoder=encoder, threads=threads, progress=progress) as editor,
    ):
        changes = _take(editor, documents, replacing=True)
    return _merged(changes, index, merge=merge, threads=threads, progress=progress)


def delete_documents(
    doc_ids: Iterable[str],
    index: str | Path,
    *,
    strict: bool = False,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Changes:
    """Delete documents in one transaction; ids that aren't there are counted, or with `strict` an LsrError."""
    with IndexEditor(index, threads=threads, progress=progress) as editor:
        editor.delete(doc_ids)
        changes = editor.commit(strict=strict)
    return _merged(changes, index, merge=merge, threads=threads, progress=progress)


def add_corpus(
    paths: Sequence[str | Path],
    index: str | Path,
    *,
    replacing: bool = False,
    encoder: Encoder | None = None,
    skip_bad: bool = False,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    reading: CorpusOptions | None = None,
) -> tuple[Changes, list[str]]:
    """Add folders and files to an index; return the changes, and lines that sum up what was read and skipped.

    replacing: documents may take the place of those with their doc_ids. The index itself is never read. Raises what
    `read_corpus` and `add_documents` raise.
    """
    corpus = Corpus([Path(path) for path in paths], Path(index), skip_bad=skip_bad, progress=progress, reading=reading)
    with (
        limited_threads(threads),
        IndexEditor(index, encoder=encoder, threads=threads, progress=progress) as editor,
    ):
        changes = _take(editor, corpus.documents(), replacing=replacing)
    return _merged(changes, index, merge=merge, threads=threads, progress=progress), corpus.summary()


def add_vectors(
    files: Sequence[str | Path],
    index: str | Path,
    *,
    replacing: bool = False,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Changes, list[str]]:
    """Add ready vectors to an index; return what was done, and lines that sum up what was dropped.

    They are those of the index's encoder, or, where it was made from ready vectors, may bring terms of their own.
    Raises what `read_vectors` and IndexEditor raise, UsageError for an index whose weights need the whole corpus.
    """
    listener = progress or NoProgress()
    dropped = 0
    with IndexEditor(index, threads=threads, progress=progress) as editor:
        lookup, n_known = _lookup(editor)
        listener.start("reading", None, "vector")
        take = editor.update if replacing else editor.add
        for file in files:
            for documents, vectors, unknown in read_vectors(Path(file), lookup, n_known=n_known):
                take(documents, vectors)
                listener.advance(len(documents))
                dropped += unknown
        if editor.n_docs == 0:
            raise LsrError(f"there is no vector in {', '.join(map(str, files))}")
        changes = editor.commit()
    notes = [f"{dropped:,} weights of terms that the encoder doesn't know were dropped"] if dropped else []
    return _merged(changes, index, merge=merge, threads=threads, progress=progress), notes


def _lookup(editor: IndexEditor) -> tuple[Any, int | None]:
    """Return how terms become ids, and how many ids there are, if they are given."""
    description = editor.base.manifest.encoder
    if editor.base.manifest.dense is not None:
        raise UsageError("the index has dense vectors too, which ready vectors come without: add texts")
    if description["kind"] == READY_VECTORS:
        encoder = editor.encoder
        assert isinstance(encoder, ReadyVectors)
        return encoder.term_id, None
    if description.get("needs_corpus_statistics"):
        raise UsageError(f"{description['name']} weighs words by statistics of the corpus: add texts, not vectors")
    return term_ids_of(editor.encoder), len(editor.base.vocabulary)


def _take(editor: IndexEditor, documents: Iterable[Document], *, replacing: bool) -> Changes:
    legs = Legs(editor.encoder, _dense_encoder(editor))
    words_alone = editor.encoder.corpus_weighting is not None and legs.dense is None
    size = COUNTED_AT_ONCE if words_alone else ENCODED_AT_ONCE
    for batch in windows(_split(editor, legs, documents), max_documents=size):
        vectors = legs.encode(batch)
        assert vectors.sparse is not None
        (editor.update if replacing else editor.add)(batch, vectors.sparse, vectors.dense)
    if editor.n_docs == 0:
        raise LsrError("there is no document to add")
    return editor.commit()


def _dense_encoder(editor: IndexEditor) -> Any:
    """Return what encodes documents for the dense vectors of an index, None if it has none."""
    described = editor.base.manifest.dense
    if described is None:
        return None
    if described["kind"] == editor.base.manifest.encoder["kind"]:  # one joint encoder gives both
        return editor.encoder
    return open_dense_encoder_of(editor.base)


def _split(editor: IndexEditor, legs: Legs, documents: Iterable[Document]) -> Iterator[Document]:
    """Cut documents into passages as those of the index were."""
    settings = editor.base.manifest.passages
    if settings is None:
        return iter(documents)
    from lsr.encoders.text.splitter import choose_splitter, split_documents

    if not settings:
        raise UsageError("the index was made from ready vectors of passages: add those, as --vectors FILE.parquet")
    assert legs.sparse is not None
    splitter = choose_splitter(editor.encoder, legs.dense, **settings)
    return split_documents(documents, splitter)


def _merged(changes: Changes, index: str | Path, *, merge: bool, threads: int, progress: Progress | None) -> Changes:
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
        merge_index(index, only_due=True, threads=threads, progress=progress)
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
