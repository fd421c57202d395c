"""Results of the methods that change or check an index: small frozen values with named counts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Outcome of `Index.add`.

    Attributes:
        n_added: number of documents that were added.
        n_documents: number of documents that the index holds now.
        generation: generation of the index that holds them.
        summary: lines that sum up what was read from files, and skipped.
        unmerged: reason why small segments could not be merged after the change; None where nothing failed.
    """

    n_added: int
    n_documents: int
    generation: int
    summary: tuple[str, ...] = ()
    unmerged: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """Outcome of `Index.update`.

    Attributes:
        n_added: number of documents whose doc_id was new.
        n_replaced: number of documents that took the place of an earlier one.
        n_deleted: number of documents whose file has vanished from a source of the index.
        n_documents: number of documents that the index holds now.
        generation: generation of the index that holds them.
        summary: lines that sum up what was read from files, and skipped.
        unmerged: reason why small segments could not be merged after the change; None where nothing failed.
    """

    n_added: int
    n_replaced: int
    n_deleted: int = 0
    n_documents: int
    generation: int
    summary: tuple[str, ...] = ()
    unmerged: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """Outcome of `Index.delete`.

    Attributes:
        n_deleted: number of documents that were deleted.
        missing: doc_ids that the index didn't have.
        n_documents: number of documents that the index holds now.
        generation: generation of the index without them.
        unmerged: reason why small segments could not be merged after the change; None where nothing failed.
    """

    n_deleted: int
    missing: tuple[str, ...]
    n_documents: int
    generation: int
    unmerged: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """Outcome of `Index.sync`, or of a dry run, which changes nothing.

    Attributes:
        n_added: number of documents that were added.
        n_replaced: number of documents that took the place of an earlier one.
        n_deleted: number of documents that are gone with their files, or from them.
        new: paths of files that are new.
        changed: paths of files that have changed.
        vanished: paths of files that have vanished.
        n_unchanged: number of files that were not read again.
        missing: folders and files that are not there as a whole, whose documents stay.
        n_documents: number of documents that the index holds now.
        generation: generation of the index that holds them.
        summary: lines that sum up what was read from files, and skipped.
        unmerged: reason why small segments could not be merged after the change; None where nothing failed.
    """

    n_added: int
    n_replaced: int
    n_deleted: int
    new: tuple[str, ...]
    changed: tuple[str, ...]
    vanished: tuple[str, ...]
    n_unchanged: int
    missing: tuple[str, ...]
    n_documents: int
    generation: int
    summary: tuple[str, ...] = ()
    unmerged: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsUpdated:
    """Outcome of `Index.update_fields`.

    Attributes:
        n_updated: number of documents whose fields were changed.
        generation: generation of the index that holds them.
    """

    n_updated: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Outcome of `Index.merge`.

    Attributes:
        n_merged: number of segments that were merged.
        n_segments: number of segments that are left.
        n_documents: number of documents that the index holds.
        size_bytes: size of the index on disk.
        generation: generation of the index with the merged segments.
    """

    n_merged: int
    n_segments: int
    n_documents: int
    size_bytes: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Outcome of `Index.check`, true where nothing is wrong.

    Attributes:
        problems: what is wrong with the index, a sentence each.
        n_documents: number of documents, or passages of documents, that the manifest names.
        n_postings: number of postings that it names.
        size_bytes: size of the index on disk.
        generation: generation that was read.
    """

    problems: tuple[str, ...]
    n_documents: int
    n_postings: int
    size_bytes: int
    generation: int

    @property
    def sound(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems

    def __bool__(self) -> bool:
        return self.sound
