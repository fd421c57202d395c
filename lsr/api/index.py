"""An index as callers hold it: opened, searched, changed and checked through one object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_count, check_flag, doc_ids_of
from lsr.api.changes import Added, Checked, Deleted, FieldsUpdated, Merged, Synced, Updated
from lsr.api.edit import (
    Counts,
    check_index,
    choice_of,
    delete_documents,
    document_encoder,
    field_values,
    follow_sources,
    merge_segments,
    synced,
    take_documents,
    would_delete,
)
from lsr.api.opened import Opened, Opening
from lsr.api.records import Names
from lsr.api.sources import read_sources
from lsr.api.tuning import TunableIndex
from lsr.api.wording import python_messages
from lsr.kernels.jit.first_use import BUILD, warn_before_compiling

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.io.progress import Progress
    from lsr.query.shards.transport import Transport


@python_messages
def open(  # noqa: A001
    path: str | Path | None = None,
    *,
    encoder: str | Path | Encoder | None = None,
    dense_encoder: str | Path | None = None,
    transport: Transport | None = None,
    timeout: float | None = None,
    partial: bool = False,
) -> Index:
    """Open an index.

    Args:
        path: folder of the index, or the URL of one that `lsr publish` put into an object store, which is downloaded
            into the cache (default: `.lsr` here or in the nearest folder above).
        encoder: where the index's model is now, or that encoder, loaded (default: where it was).
        dense_encoder: where the model of its dense vectors is now (default: where it was).
        transport: way to the shards of a set, as `lsr.cluster.shard_actors.RayActors()` (default: they are searched in
            this process as one index).
        timeout: seconds that shards behind a transport get for a request (default: 10).
        partial: open a set without shards that are missing or damaged, and let searches do without those that are lost
            (`Results.missing` names them).

    Returns:
        The last generation of the index.

    Raises:
        IndexMissingError: there is no index.
        IndexDamagedError: its files are not what was written.
        EncoderError: the encoder is another than the index's.
        ClusterError: the cluster of a transport doesn't answer.

    Example:
        >>> import lsr
        >>> lsr.index(["Trees grow slowly."], "my-index", encoder="bm25").close()
        >>> with lsr.open("my-index") as index:
        ...     len(index)
        1
    """
    places: dict[str, Any] = {"encoder": encoder, "dense_encoder": dense_encoder}
    how = Opening.of(transport, timeout, partial)
    if path is None:
        from lsr.indexer.storage.find_index import find_index

        found = Index(find_index(Path.cwd()), **places, opening=how)
        found._is_named = False
        return found
    from lsr.indexer.transfer.object_store import is_url

    if is_url(path):
        from lsr.indexer.transfer.download import download_index

        url, path = str(path), download_index(str(path)).path
        how = how.rooted(url)
    return Index(path, **places, opening=how)


class Index(TunableIndex):
    """An index of documents, which `lsr.index` makes and `lsr.open` opens.

    All methods may be called from many threads. A search sees one generation of the index; what this object adds,
    updates or deletes is seen by its next search, what other processes do after `refresh`. An index pickles as its
    path and generation, and is opened again where it is unpickled. It is a context manager that closes it.

    Example:
        >>> import lsr
        >>> index = lsr.index([{"id": "a", "text": "Trees grow slowly.", "year": 2020}], "my-index", encoder="bm25")
        >>> index.add([{"id": "b", "text": "A tree house.", "year": 2024}]).n_added
        1
        >>> [hit.doc_id for hit in index.search("tree", where="year > 2021")]
        ['b']
        >>> index.delete("b").n_deleted, len(index), "b" in index
        (1, 1, False)
    """

    def __reduce__(self) -> tuple[Any, ...]:
        opened = self._current
        places = opened.encoder_place, opened.dense_encoder_place
        return _reopened, (self._path.absolute(), self.generation, *places, opened.opening)

    @python_messages
    def add(
        self,
        sources: Any,
        *,
        text: str | Sequence[str] | None = None,
        title: str | None = None,
        id: str | None = None,  # noqa: A002
        fields: Iterable[str] | None = None,
        reading: Mapping[str, Any] | None = None,
        skip_bad: bool = False,
        merge: bool = True,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Add documents, all of them or, where something goes wrong, none.

        Args:
            sources: as of `lsr.index`. The first text without a doc_id gets the number of documents as its doc_id.
            text: column or key of the text, or several, joined in this order (default: the first of the usual names).
            title: column or key of the title.
            id: column or key of the doc_id.
            fields: columns or keys that are kept as fields (default: all others).
            reading: other options of reading files, as of `lsr.index`.
            skip_bad: skip, and count, records and files that can't be read, instead of raising.
            merge: merge small segments afterwards, where that is due.
            threads: number of worker threads (default: all cores).
            progress: listener to the progress of the work (default: none).

        Raises:
            BadDocumentError: a document can't be read, or its doc_id is in the index already.
            IndexLockedError: another writer is at work.
        """
        found, now = self._change(
            sources, Names.of(text, title, id, fields, reading), replacing=False,
            skip_bad=skip_bad, merge=merge, threads=threads, progress=progress,
        )  # fmt: skip
        return Added(
            n_added=found.n_added,
            n_documents=now.n_documents,
            generation=now.generation,
            summary=found.summary,
            unmerged=found.unmerged,
        )

    @python_messages
    def update(
        self,
        sources: Any,
        *,
        text: str | Sequence[str] | None = None,
        title: str | None = None,
        id: str | None = None,  # noqa: A002
        fields: Iterable[str] | None = None,
        reading: Mapping[str, Any] | None = None,
        skip_bad: bool = False,
        merge: bool = True,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Updated:
        """Add documents, each in the place of the one with its doc_id, if there is one.

        Every document needs a doc_id. The other arguments and errors are those of `add`.
        """
        found, now = self._change(
            sources, Names.of(text, title, id, fields, reading), replacing=True,
            skip_bad=skip_bad, merge=merge, threads=threads, progress=progress,
        )  # fmt: skip
        return Updated(
            n_added=found.n_added,
            n_replaced=found.n_replaced,
            n_deleted=found.n_deleted,
            n_documents=now.n_documents,
            generation=now.generation,
            summary=found.summary,
            unmerged=found.unmerged,
        )

    def _change(
        self,
        sources: Any,
        names: Names,
        *,
        replacing: bool,
        skip_bad: bool,
        merge: bool,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[Counts, Opened]:
        """Add or replace documents; return the counts, and the generation that has them."""
        options: dict[str, Any] = {
            "skip_bad": check_flag(skip_bad, "skip_bad"),
            "merge": check_flag(merge, "merge"),
            "threads": _threads(threads),
            "progress": progress,
        }
        warn_before_compiling(BUILD)
        self._require_own()
        with self._changing:
            opened = self._newest()
            source = read_sources(sources, names, first_id=None if replacing else opened.stored.n_positions)
            counts, encoder = take_documents(opened, self._path, source, replacing=replacing, **options)
            opened.encoder = opened.encoder if encoder is None else encoder
            return counts, self._newest()

    @python_messages
    def sync(
        self, *, dry_run: bool = False, remove_missing: bool = False, merge: bool = True,
        threads: int | None = None, progress: Progress | None = None,
    ) -> Synced:  # fmt: skip
        """Bring the index up to date with the folders and files that it was made of.

        New files are added, documents of changed files replaced, those of vanished files deleted, all at once. Files
        of the same size and time are not read, files of the same content not encoded again.

        Args:
            dry_run: change nothing, and say what would be done.
            remove_missing: give up folders and files that are not there as a whole, and delete their documents.
            merge: merge small segments afterwards, where that is due.
            threads: number of worker threads (default: all cores).
            progress: listener to the progress of the work (default: none).

        Raises:
            BadDocumentError: a file can't be read; the message names it.
            LsrError: the index was made of no folder or file.
            IndexLockedError: another writer is at work.
        """
        dry_run = check_flag(dry_run, "dry_run")
        options: dict[str, Any] = {
            "remove_missing": check_flag(remove_missing, "remove_missing"),
            "merge": check_flag(merge, "merge"),
            "threads": _threads(threads),
            "progress": progress,
        }
        self._require_own()
        with self._changing:
            encoder = None if dry_run else document_encoder(self._newest())
            found = follow_sources(self._path, dry_run=dry_run, encoder=encoder, **options)
            now = self._current if dry_run else self._newest()
        return synced(found, now)

    @python_messages
    def update_fields(
        self, values: Mapping[str, Any], *, where: str | None = None,
        doc_ids: str | int | Iterable[str | int] | None = None,
    ) -> FieldsUpdated:  # fmt: skip
        """Give documents other values of some fields, all at once; nothing is encoded again.

        Args:
            values: the fields by name; None removes a field. Title and text change with `update` alone.
            where: filter that chooses the documents, such as `year < 2000`.
            doc_ids: the documents, by one doc_id or several, in place of a filter. Those that aren't there are skipped.

        Raises:
            UsageError: neither `where` nor `doc_ids` is given, or both; a name is no field's.
            FilterError: the filter can't be understood.
            BadDocumentError: a value is of a kind that fields can't have.
            IndexLockedError: another writer is at work.
        """
        from lsr.indexer.update.update_fields import update_fields

        choice = choice_of(where, doc_ids)
        checked = field_values(values)
        self._require_own()
        with self._changing:
            _, n_updated = update_fields(self._path, checked, choice)
            return FieldsUpdated(n_updated=n_updated, generation=self._newest().generation)

    @python_messages
    def delete(
        self, doc_ids: str | int | Iterable[str | int] | None = None, *, where: str | None = None,
        dry_run: bool = False, strict: bool = False, merge: bool = True, threads: int | None = None,
    ) -> Deleted:  # fmt: skip
        """Delete documents, all at once.

        Args:
            doc_ids: one doc_id (a `str`, or a whole number, which means its decimal text), or several in a list.
            where: filter that chooses the documents, such as `year < 2000`, in place of doc_ids.
            dry_run: delete nothing, and count what would be deleted.
            strict: delete nothing, and raise, if one of them isn't there (default: name it in `missing`).
            merge: merge small segments afterwards, where that is due.
            threads: number of worker threads (default: all cores).

        Raises:
            LsrError: with `strict`, a doc_id isn't there.
            IndexLockedError: another writer is at work.
        """
        choice_of(where, doc_ids)
        wanted = doc_ids_of(doc_ids) if doc_ids is not None else where or ""
        options: dict[str, Any] = {"strict": check_flag(strict, "strict"), "merge": check_flag(merge, "merge")}
        if check_flag(dry_run, "dry_run"):
            with self._changing:
                now = self._newest()
            n_deleted, missing = would_delete(now.stored, wanted)
            return Deleted(n_deleted=n_deleted, missing=missing, n_documents=len(self), generation=now.generation)
        self._require_own()
        with self._changing:
            n_deleted, missing, unmerged = delete_documents(self._path, wanted, threads=_threads(threads), **options)
            now = self._newest()
        return Deleted(
            n_deleted=n_deleted, missing=missing, n_documents=now.n_documents, generation=now.generation,
            unmerged=unmerged,
        )  # fmt: skip

    @python_messages
    def merge(self, *, only_due: bool = False, threads: int | None = None, progress: Progress | None = None) -> Merged:
        """Merge the segments of the index into one, and remove what was deleted. Results don't change.

        Args:
            only_due: only those that adding would merge by itself.
            threads: number of worker threads (default: all cores).
            progress: listener to the progress of the work (default: none).

        Raises:
            IndexLockedError: another writer is at work.
        """
        check_flag(only_due, "only_due")
        warn_before_compiling(BUILD)
        self._require_own()
        with self._changing:
            merged = merge_segments(self._path, only_due=only_due, threads=_threads(threads), progress=progress)
            return replace(merged, n_documents=self._newest().n_documents)

    @python_messages
    def check(self, progress: Progress | None = None) -> Checked:
        """Read all of the index and verify it: files against their checksums, arrays against each other.

        Args:
            progress: listener to the progress of the work (default: none).

        Returns:
            The problems that were found; true where there are none.

        Raises:
            IndexDamagedError: not even the manifest can be read.
        """
        self._current  # noqa: B018  raises where the index is closed
        return check_index(self._path, progress)


def _threads(threads: int | None) -> int:
    from lsr.io.cores import available_cores

    return available_cores() if threads is None else check_count(threads, "threads")


def _reopened(
    path: Path, generation: int, encoder: str | Path | None, dense_encoder: str | Path | None, opening: Opening
) -> Index:
    """Open the index that was pickled."""
    return Index(path, encoder=encoder, dense_encoder=dense_encoder, generation=generation, opening=opening)
