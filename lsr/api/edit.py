"""Changes of an index: documents added, replaced and deleted, segments merged, files verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_text, doc_ids_of, is_missing, shown
from lsr.api.changes import Checked, Merged, Synced
from lsr.api.documents import documents_by_id
from lsr.api.opened import Opened
from lsr.api.records import put_field
from lsr.api.sources import Paths, Stream
from lsr.errors import EncoderError, UsageError
from lsr.indexer.transfer.ready_vectors import READY_VECTORS

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.storage.manifest import Manifest
    from lsr.indexer.update.chosen import Choice
    from lsr.indexer.update.sync import Sync
    from lsr.io.progress import Progress
    from lsr.types import FieldValue


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


def choice_of(where: str | None, doc_ids: Any) -> Choice:
    """Return the choice of documents that a caller gives: by a filter, or by their doc_ids. Raises UsageError."""
    if (where is None) == (doc_ids is None):
        raise UsageError("give either doc_ids, or where=…, a filter that chooses the documents")
    if where is not None:
        return _choice(check_text(where, "where"))
    return _choice(doc_ids_of(doc_ids))


def _choice(wanted: str | Sequence[str]) -> Choice:
    """Return the choice of documents in the generation that is changed. wanted: a filter, or doc_ids."""
    from lsr.query.filters.filter import DocumentFilter
    from lsr.query.filters.masks import compile_filter

    if isinstance(wanted, str):
        return lambda index: compile_filter(index, wanted).bitmaps
    return lambda index: DocumentFilter.from_doc_ids(index, wanted).bitmaps


def would_delete(index: StoredIndex, wanted: str | Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return how many documents a deletion would delete, and the doc_ids that aren't there.

    wanted: a filter, or doc_ids.
    """
    from lsr.indexer.update.chosen import chosen_ids

    if isinstance(wanted, str):
        return len(chosen_ids(index, _choice(wanted))), ()
    unique = list(dict.fromkeys(wanted))
    found = documents_by_id(index, unique)
    missing = tuple(doc_id for doc_id, document in zip(unique, found, strict=True) if document is None)
    return len(unique) - len(missing), missing


def delete_documents(
    path: Path, wanted: str | Sequence[str], *, strict: bool, merge: bool, threads: int
) -> tuple[int, tuple[str, ...], str | None]:
    """Delete documents; return how many, the doc_ids that the index didn't have, and why a merge failed, if it did.

    wanted: a filter, or doc_ids. Raises LsrError with `strict` if one is not there; nothing is deleted then.
    """
    from lsr.indexer.update.update import delete_chosen
    from lsr.indexer.update.update import delete_documents as delete

    if isinstance(wanted, str):
        changes = delete_chosen(_choice(wanted), path, merge=merge, threads=threads)
        return changes.n_deleted, (), changes.unmerged
    changes = delete(wanted, path, strict=strict, merge=merge, threads=threads)
    unknown = set(changes.unknown)
    missing = tuple(doc_id for doc_id in dict.fromkeys(wanted) if doc_id in unknown)
    return changes.n_deleted, missing, changes.unmerged


def field_values(values: Any) -> dict[str, FieldValue]:
    """Return the values of fields that a caller gives, checked. Raises UsageError, BadDocumentError."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise UsageError(f"values is {shown(values)}; give a dict of fields by name, such as {{'status': 'done'}}")
    if not values:
        raise UsageError("values is empty; name at least one field, such as {'status': 'done'}")
    found: dict[str, FieldValue] = {}
    for name, value in values.items():
        if is_missing(value):
            found[name] = None
        else:
            put_field(found, name, value, "values")
    return found


def follow_sources(
    path: Path, *, dry_run: bool, remove_missing: bool, encoder: Encoder | None, merge: bool, threads: int,
    progress: Progress | None,
) -> Sync:  # fmt: skip
    """Bring an index up to date with its sources, or return what that would do."""
    from lsr.indexer.update.sync import plan_sync, sync_index

    if dry_run:
        return plan_sync(path, remove_missing=remove_missing)
    return sync_index(
        path, remove_missing=remove_missing, encoder=encoder, merge=merge, threads=threads, progress=progress
    )


def synced(found: Sync, now: Opened) -> Synced:
    """Return the outcome of following the sources as callers see it. now: the generation that came of it."""
    changes = found.changes
    return Synced(
        n_added=0 if changes is None else changes.n_added,
        n_replaced=0 if changes is None else changes.n_replaced,
        n_deleted=0 if changes is None else changes.n_deleted,
        new=found.new,
        changed=found.changed,
        vanished=found.vanished,
        n_unchanged=found.n_unchanged,
        missing=found.missing,
        n_documents=now.n_documents,
        generation=now.generation,
        summary=found.summary,
        unmerged=None if changes is None else changes.unmerged,
    )


def merge_segments(path: Path, *, only_due: bool, threads: int, progress: Progress | None) -> Merged:
    """Merge the segments of an index. only_due: those alone that adding would merge."""
    from lsr.indexer.update.open_editor import merge_segments as merge

    manifest, n_merged = merge(path, only_due=only_due, threads=threads, progress=progress)
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
