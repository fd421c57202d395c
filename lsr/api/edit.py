"""Changes of an index: documents added, replaced and deleted, segments merged, files verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsr.api.changes import Checked, Merged
from lsr.api.documents import documents_by_id, is_passage
from lsr.api.opened import Opened
from lsr.api.sources import Paths, Stream
from lsr.errors import EncoderError, LsrError
from lsr.indexer.transfer.read_vectors import READY_VECTORS
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.indexer.storage.manifest import Manifest
    from lsr.indexer.update.editor import Changes
    from lsr.io.progress import Progress


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents that a change added and replaced, with lines that sum up what was read and skipped.

    unmerged: the reason why small segments could not be merged after the commit, if they could not.
    """

    n_added: int
    n_replaced: int
    summary: tuple[str, ...] = ()
    unmerged: str | None = None


@dataclass(slots=True)
class _Seen:
    """Documents of a stream that was read, and how many of them the index had before."""

    n_read: int = 0
    n_known: int = 0


def take_documents(
    opened: Opened,
    path: Path,
    source: Paths | Stream,
    *,
    replacing: bool,
    skip_bad: bool,
    merge: bool,
    threads: int,
    progress: Progress | None,
) -> tuple[Counts, Encoder | None]:
    """Add documents to an index, or replace those with their doc_ids.

    Returns:
        The counts, and the encoder that was loaded for the documents, if it can serve again.
    """
    from lsr.indexer.pipeline import Corpus
    from lsr.indexer.update.update import add_documents, update_documents

    encoder = document_encoder(opened)
    corpus = None
    documents = iter(()) if isinstance(source, Paths) else source.documents
    if isinstance(source, Paths):
        corpus = Corpus(source.paths, path, skip_bad=skip_bad, progress=progress, reading=source.reading)
        documents = corpus.documents()
    seen = None if opened.stored.manifest.passages is None else _Seen()
    documents = documents if seen is None else _noted(documents, opened, seen)
    change = update_documents if replacing else add_documents
    changes = change(documents, path, encoder=encoder, merge=merge, threads=threads, progress=progress)
    return _counts(changes, seen, () if corpus is None else corpus.summary()), encoder


def _noted(documents: Iterator[Document], opened: Opened, seen: _Seen) -> Iterator[Document]:
    """Yield documents, and count them and those that the index has: its own counts are of passages."""
    for document in documents:
        seen.n_read += 1
        seen.n_known += documents_by_id(opened.stored, [document.doc_id])[0] is not None
        yield document


def _counts(changes: Changes, seen: _Seen | None, summary: Sequence[str]) -> Counts:
    if seen is None:
        return Counts(changes.n_added, changes.n_replaced, tuple(summary), changes.unmerged)
    return Counts(seen.n_read - seen.n_known, seen.n_known, tuple(summary), changes.unmerged)


def document_encoder(opened: Opened) -> Encoder | None:
    """Return a loaded encoder that continues the index's terms, None where the index had better open its own.

    Words are numbered as they come, so an encoder of words alone is opened each time, with the terms of the index.
    """
    from lsr.encoders.registry import check_same, open_document_encoder

    described = opened.stored.manifest.encoder
    if described["kind"] == READY_VECTORS or described.get("needs_corpus_statistics"):
        return None
    terms = list(opened.stored.vocabulary)
    held = opened.encoder
    if held is not None:
        try:
            check_same(described, held.description)
        except EncoderError:  # another process made the index again, with another encoder
            held = None
    if held is not None and list(held.terms) == terms:
        return held
    return open_document_encoder(described, terms)


def delete_documents(
    opened: Opened, path: Path, doc_ids: Sequence[str], *, strict: bool, merge: bool, threads: int
) -> tuple[int, tuple[str, ...], str | None]:
    """Delete documents; return how many, the doc_ids that the index didn't have, and why a merge failed, if it did.

    Raises LsrError with `strict` if one is not there; nothing is deleted then.
    """
    from lsr.indexer.update.update import delete_documents as delete

    wanted = list(dict.fromkeys(doc_ids))
    # A passage's name is no doc_id: to delete it would leave a document with a gap.
    has_passages = opened.stored.manifest.passages is not None
    pieces = [doc_id for doc_id in wanted if has_passages and is_passage(opened.stored, doc_id)]
    if strict and pieces:
        raise LsrError(f"not in the index: {pieces[0]}; nothing was deleted; leave out --strict to skip such ids")
    documents = [doc_id for doc_id in wanted if doc_id not in pieces] if pieces else wanted
    changes = delete(documents, path, strict=strict, merge=merge, threads=threads)
    unknown = {*changes.unknown, *pieces}
    missing = tuple(doc_id for doc_id in wanted if doc_id in unknown)
    return len(wanted) - len(missing), missing, changes.unmerged


def merge_segments(path: Path, *, only_due: bool, threads: int, progress: Progress | None) -> Merged:
    """Merge the segments of an index. only_due: those alone that adding would merge."""
    from lsr.indexer.update.merge import merge_index

    manifest, n_merged = merge_index(path, only_due=only_due, threads=threads, progress=progress)
    return Merged(
        n_merged=n_merged,
        n_segments=len(manifest.segments),
        n_documents=manifest.n_docs,
        size_bytes=manifest.size_bytes,
        generation=manifest.generation,
    )


def check_index(path: Path, progress: Progress | None = None) -> Checked:
    """Read all of the last generation of an index and verify it.

    Raises IndexMissingError, or IndexDamagedError for a manifest that can't be read.
    """
    from lsr.indexer.transfer.check import verify

    manifest: Manifest
    manifest, problems = verify(path, progress)
    return Checked(
        problems=tuple(problems),
        n_documents=manifest.n_docs,
        n_postings=manifest.n_postings,
        size_bytes=manifest.size_bytes,
        generation=manifest.generation,
    )
