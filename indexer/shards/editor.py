"""Changing a set: each document in its shard, and the generations of all shards seen at once, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np

from lsr.encoders.base import Encoder
from lsr.errors import LsrError
from lsr.indexer.shards.cut import owner_ids, shards_of
from lsr.indexer.shards.manifest import HASH
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.shards.rows import taken
from lsr.indexer.shards.writer import together
from lsr.indexer.sources.tracking import Tracking
from lsr.indexer.storage.index import StoredIndex, StoredSet
from lsr.indexer.storage.manifest import LARGEST_INDEX
from lsr.indexer.storage.segment import hash_ids
from lsr.indexer.update.editor import (
    Changes,
    Dense,
    IndexEditor,
    agreed_weights,
    check_encoder,
    open_encoder,
    refuse_known,
    refuse_unknown,
)
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.resolve import Outcome
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.transaction import explained
from lsr.io.progress import Progress
from lsr.types import Document, SparseBatch


class SetEditor:
    """Changes the set at `path` as an IndexEditor changes an index; nothing is seen before `commit`, then all of it.

    New documents go to the last range, or to the shard of the hash of their doc_ids; where one replaces a document of
    another range, that is deleted there. Raises as IndexEditor.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        reorder: bool = True,
        threads: int = 2,
        progress: Progress | None = None,
        limits: SegmentLimits = DEFAULT_LIMITS,
    ) -> None:
        self.path = Path(path)
        self.threads = threads
        self.n_docs = 0
        self.tracking: Tracking | None = None
        """None: a set doesn't follow its sources."""
        self._encoder = encoder
        self._moved: set[str] = set()
        """Ids of documents of earlier ranges that were deleted, or replaced by documents of the last."""
        self._replaced: set[str] = set()
        """Those of them that the last range will have."""
        self._stack = ExitStack()
        try:
            StoredIndex.open(self.path).close()  # where there is no set, nothing is to be made
            self._place = SetPlace(self.path, is_new=False)
            self._stack.callback(self._place.close)
            self.base = cast(StoredSet, StoredIndex.open(self.path))
            if encoder is not None:
                check_encoder(self.base, encoder)
            options: dict[str, Any] = {
                "reorder": reorder, "threads": threads, "progress": progress, "limits": limits, "of_set": True,
            }  # fmt: skip
            self._editors: list[IndexEditor] = []
            for shard in self.base.shards:
                self._editors.append(IndexEditor(shard.path, **options))
                self._stack.callback(self._editors[-1].close)
        except BaseException:
            self._stack.close()
            raise
        self._by_hash = self.base.content.partition == HASH

    def __enter__(self) -> SetEditor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # The shards' editors first; the old generation is held until what the set doesn't name is removed.
        self.close()

    def close(self) -> None:
        """Give up what was not committed, and give the locks back."""
        self._stack.close()
        self.base.close()

    @property
    def encoder(self) -> Encoder:
        """The encoder of the set's documents. Raises EncoderError if it can't be opened."""
        if self._encoder is None:
            self._encoder = open_encoder(self.base)
        for editor in self._editors:
            editor.share_encoder(self._encoder)
        return self._encoder

    def add(self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense = None) -> None:
        """Add documents; see `IndexEditor.add`."""
        if not self._moved and not any(editor.has_deletions for editor in self._editors):
            refuse_known(self.base, documents)
        elif not self._by_hash:
            self._refuse_others(documents)
        self._put(documents, vectors, dense, replacing=False)

    def _refuse_others(self, documents: Sequence[Document]) -> None:
        """Refuse documents that earlier ranges have and that were not deleted: the last range can't know them."""
        new = [document for document in documents if document.doc_id not in self._moved]
        for shard in self.base.shards[:-1]:
            refuse_known(shard, new)

    def update(self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense = None) -> None:
        """Add documents, each in the place of one with its doc_id; see `IndexEditor.update`."""
        if not self._by_hash:
            self._take_from_earlier(dict.fromkeys(owner_ids(documents)))
        self._put(documents, vectors, dense, replacing=True)

    def _take_from_earlier(self, doc_ids: Iterable[str]) -> list[str]:
        """Delete documents that ranges before the last have; return those that were there."""
        names = [name for name in doc_ids if name not in self._moved]
        hashes, taken_ids = hash_ids(names), []
        for shard, editor in zip(self.base.shards[:-1], self._editors[:-1], strict=True):
            here = np.zeros(len(names), bool)
            for segment in shard.segments:
                here |= segment.rows_of(names, hashes) >= 0
            of_shard = [names[i] for i in np.flatnonzero(here).tolist()]
            editor.delete(of_shard)
            taken_ids += of_shard
        self._moved.update(taken_ids)
        return taken_ids

    def delete(self, doc_ids: Iterable[str]) -> None:
        """Delete documents, with all their passages; ids that are not there are counted at the commit."""
        wanted = list(doc_ids)
        if self._by_hash:
            numbers = shards_of(wanted, len(self._editors))
            for number in np.unique(numbers).tolist():
                self._editors[number].delete([wanted[i] for i in np.flatnonzero(numbers == number).tolist()])
            return
        found = set(self._take_from_earlier(dict.fromkeys(wanted)))
        self._replaced.difference_update(wanted)
        self._editors[-1].delete([doc_id for doc_id in wanted if doc_id not in found])

    def _put(self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense, *, replacing: bool) -> None:
        if self.base.n_positions + self.n_docs + len(documents) > LARGEST_INDEX:
            raise LsrError(f"more than {LARGEST_INDEX:,} documents, the limit of a set on one machine; make several")
        if not self._by_hash:
            self._editors[-1].place_at(documents, vectors, dense, None, replacing=replacing)
            if self._moved:
                self._replaced.update(self._moved.intersection(owner_ids(documents)))
        else:
            numbers = shards_of(owner_ids(documents), len(self._editors))
            first = self.base.content.next_position + self.n_docs
            for number in np.unique(numbers).tolist():
                rows = np.flatnonzero(numbers == number)
                some = [documents[row] for row in rows.tolist()]
                part = None if dense is None else dense[rows]
                self._editors[number].place_at(some, taken(vectors, rows), part, rows + first, replacing=replacing)
        self.n_docs += len(documents)

    def commit(self, *, strict: bool = False) -> Changes:
        """Make the changes the set's next generation; see `IndexEditor.commit`."""
        with explained(self.path):
            resolved = [editor.resolved() for editor in self._editors]
            outcomes = [outcome for _, outcome in resolved]
            unknown = [doc_id for outcome in outcomes for doc_id in outcome.unknown]
            if strict:
                refuse_unknown(unknown)
            manifest = self.base.manifest
            if self.n_docs or any(any(outcome.dead) for outcome in outcomes):
                changed = [
                    editor.changed(*found) for editor, found in zip(self._editors, resolved, strict=True)
                ]  # fmt: skip
                encoder = self.encoder if any(one.needs_encoder for one in changed) else None
                weights = agreed_weights(changed, manifest, encoder)
                shards = {}
                for shard, editor, one, outcome in zip(
                    self.base.shards, self._editors, changed, outcomes, strict=True
                ):  # fmt: skip
                    # Document frequencies may differ where the recorded statistics are the same.
                    is_same = weights.scale == manifest.scale and one.reweighed is None
                    is_same = is_same and not one.pending and not any(outcome.dead)
                    shards[shard.path.name] = shard.manifest if is_same else editor.commit_changed(one, weights)
                added = self.n_docs if self._by_hash else 0
                found = self._place.commit(
                    shards, partition=self.base.content.partition, scale=weights.scale,
                    next_position=self.base.content.next_position + added,
                )  # fmt: skip
                manifest = together(list(shards.values()), found.generation)
        return self._counted(Changes(manifest, *_sums(outcomes), tuple(unknown)))

    def _counted(self, changes: Changes) -> Changes:
        """Count a document that moved to the last range as replaced, not as deleted there and added here."""
        n = len(self._replaced)
        return Changes(
            changes.manifest, changes.n_added - n, changes.n_replaced + n, changes.n_deleted - n, changes.unknown
        )


def _sums(outcomes: Sequence[Outcome]) -> tuple[int, int, int]:
    return (
        sum(outcome.n_added for outcome in outcomes),
        sum(outcome.n_replaced for outcome in outcomes),
        sum(outcome.n_deleted for outcome in outcomes),
    )


def merge_set(path: Path, **options: Any) -> tuple[Any, int]:
    """Merge segments of each shard of a set; return its manifest, and how many were merged.

    options: of `merge_index`.
    """
    StoredIndex.open(path).close()
    with ExitStack() as stack:
        place = stack.enter_context(SetPlace(path, is_new=False))
        base = cast(StoredSet, StoredIndex.open(path))
        try:
            with explained(path):
                n_merged, shards = 0, {}
                for shard in base.shards:
                    shards[shard.path.name], n = merge_index(shard.path, of_set=True, **options)
                    n_merged += n
                if not n_merged:
                    return base.manifest, 0
                content = base.content
                found = place.commit(
                    shards, partition=content.partition, scale=content.scale, next_position=content.next_position
                )
                return together(list(shards.values()), found.generation), n_merged
        finally:
            stack.close()
            base.close()
