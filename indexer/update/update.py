"""The ways to change an index: documents, corpora and ready vectors added or replaced, and documents deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, term_ids_of
from lsr.errors import LsrError, UsageError
from lsr.indexer.corpus.expansions.reading import Expansions
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.remote.url import Url, as_place
from lsr.indexer.encode.vectors_origin import origin_of
from lsr.indexer.pipeline import Corpus, reading_stage
from lsr.indexer.sources.table import UNKNOWN_SOURCES, SourceTable, read_table
from lsr.indexer.sources.tracking import Tracking
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import READY_VECTORS, ReadyVectors
from lsr.indexer.transfer.vector_files import read_vector_file
from lsr.indexer.update.chosen import Choice, chosen_ids
from lsr.indexer.update.editor import Changes
from lsr.indexer.update.open_editor import Editor, open_editor
from lsr.indexer.update.sync import update_sources
from lsr.indexer.update.take import merge_due, merged, take_documents
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document

__all__ = [
    "add_corpus",
    "add_documents",
    "add_vectors",
    "delete_chosen",
    "delete_documents",
    "merge_due",
    "update_documents",
]


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
    with open_editor(index, encoder=encoder, threads=threads, progress=progress) as editor:
        changes = _committed(editor, documents, replacing=False)
    return merged(changes, index, merge=merge, threads=threads, progress=progress)


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
    with open_editor(index, encoder=encoder, threads=threads, progress=progress) as editor:
        changes = _committed(editor, documents, replacing=True)
    return merged(changes, index, merge=merge, threads=threads, progress=progress)


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
    with open_editor(index, threads=threads, progress=progress) as editor:
        editor.delete(dict.fromkeys(doc_ids))
        changes = editor.commit(strict=strict)
    return merged(changes, index, merge=merge, threads=threads, progress=progress)


def delete_chosen(
    choice: Choice,
    index: str | Path,
    *,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Changes:
    """Delete the documents that a filter chooses, in one transaction. Raises what `choice` and IndexEditor raise."""
    with open_editor(index, threads=threads, progress=progress) as editor:
        editor.delete(chosen_ids(editor.base, choice))
        changes = editor.commit()
    return merged(changes, index, merge=merge, threads=threads, progress=progress)


def add_corpus(
    paths: Sequence[str | Path | Url],
    index: str | Path,
    *,
    replacing: bool = False,
    encoder: Encoder | None = None,
    skip_bad: bool = False,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    reading: CorpusOptions | None = None,
    expansions: Expansions | None = None,
) -> tuple[Changes, list[str]]:
    """Add folders and files to an index; return the changes, and lines that sum up what was read and skipped.

    replacing: documents may take the place of those with their doc_ids, and what has vanished from a source of the
    index is removed: see `update_sources`. expansions: texts that the sparse encoder reads behind the documents' own,
    of documents that are added. The index itself is never read. Raises what `read_corpus` and
    `add_documents` raise.
    """
    places = [as_place(path) for path in paths]
    with StoredIndex.open(index) as stored:
        follows = stored.manifest.sources is not None
    common: dict[str, Any] = {"encoder": encoder, "merge": merge, "threads": threads, "progress": progress}
    if replacing and follows:
        found = update_sources(places, index, reading=reading, skip_bad=skip_bad, **common)
        assert found.changes is not None
        return found.changes, list(found.summary)
    with open_editor(index, encoder=encoder, threads=threads, progress=progress) as editor:
        table = read_table(editor.base)
        tracking = Tracking(SourceTable() if table is None else table)
        said = tracking.target(places, reading, skip_bad=skip_bad, follow=False)
        corpus = Corpus(tracking, Path(index), progress=progress, stage=reading_stage(editor.base.manifest))
        editor.tracking = tracking if follows else None
        changes = _committed(editor, corpus.documents(), replacing=replacing, expansions=expansions)
    lines = [*said, *corpus.summary()] if follows else [*corpus.summary(), UNKNOWN_SOURCES]
    return merged(changes, index, merge=merge, threads=threads, progress=progress), lines


def _committed(
    editor: Editor, documents: Iterable[Document], *, replacing: bool, expansions: Expansions | None = None
) -> Changes:
    take_documents(editor, documents, replacing=replacing, expansions=expansions)
    if editor.n_docs == 0:
        raise LsrError("there is no document to add")
    return editor.commit()


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
    origin = origin_of(files)
    with open_editor(index, threads=threads, progress=progress) as editor:
        lookup, n_known = _lookup(editor)
        recorded = editor.base.manifest.encoder
        if origin is not None and recorded["kind"] != READY_VECTORS:
            origin.check(recorded, f"the index {index}")
        listener.start("reading", None, "vector")
        take = editor.update if replacing else editor.add
        for file in files:
            for documents, vectors, unknown in read_vector_file(Path(file), lookup, n_known=n_known):
                take(documents, vectors)
                listener.advance(len(documents))
                dropped += unknown
        if editor.n_docs == 0:
            raise LsrError(f"there is no vector in {', '.join(map(str, files))}")
        changes = editor.commit()
    notes = [f"{dropped:,} weights of terms that the encoder doesn't know were dropped"] if dropped else []
    return merged(changes, index, merge=merge, threads=threads, progress=progress), notes


def _lookup(editor: Editor) -> tuple[Any, int | None]:
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
