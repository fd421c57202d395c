"""Changes of an index: documents added, replaced and deleted, segments merged, files verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.changes import Checked, Merged
from lsr.api.opened import Opened
from lsr.api.sources import Paths, Stream
from lsr.errors import EncoderError
from lsr.indexer.transfer.read_vectors import READY_VECTORS

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.indexer.storage.manifest import Manifest
    from lsr.io.progress import Progress


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents that a change added, replaced and deleted, with lines that sum up what was read and skipped.

    unmerged: the reason why small segments could not be merged after the commit, if they could not.
    """

    n_added: int
    n_replaced: int
    n_deleted: int
    summary: tuple[str, ...] = ()
    unmerged: str | None = None


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
    from lsr.indexer.update.update import add_corpus, add_documents, update_documents

    encoder = document_encoder(opened)
    options: dict[str, Any] = {"encoder": encoder, "merge": merge, "threads": threads, "progress": progress}
    if isinstance(source, Paths):
        changes, summary = add_corpus(
            source.paths, path, replacing=replacing, skip_bad=skip_bad, reading=source.reading, **options
        )
    else:
        change = update_documents if replacing else add_documents
        changes, summary = change(source.documents, path, **options), []
    return Counts(changes.n_added, changes.n_replaced, changes.n_deleted, tuple(summary), changes.unmerged), encoder


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
    path: Path, doc_ids: Sequence[str], *, strict: bool, merge: bool, threads: int
) -> tuple[int, tuple[str, ...], str | None]:
    """Delete documents; return how many, the doc_ids that the index didn't have, and why a merge failed, if it did.

    Raises LsrError with `strict` if one is not there; nothing is deleted then.
    """
    from lsr.indexer.update.update import delete_documents as delete

    changes = delete(doc_ids, path, strict=strict, merge=merge, threads=threads)
    unknown = set(changes.unknown)
    missing = tuple(doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id in unknown)
    return changes.n_deleted, missing, changes.unmerged


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
