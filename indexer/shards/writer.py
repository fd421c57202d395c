"""Making a set of shards: documents are divided, and the shards agree on scale and statistics before they are built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.errors import LsrError
from lsr.indexer.pruning import pruning_together
from lsr.indexer.shards.build_task import COPIED_AT_ONCE, Builders, BuildTask, hand_out
from lsr.indexer.shards.cut import cut_ranges, owner_ids, shards_of
from lsr.indexer.shards.manifest import HASH, Partition
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.shards.rows import taken
from lsr.indexer.storage.files import FileInfo
from lsr.indexer.storage.manifest import LARGEST_INDEX, Manifest, read_manifest
from lsr.indexer.write.prune import check_prune
from lsr.indexer.write.segment_builder import Collector, Pending, refuse_duplicates
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.transaction import explained
from lsr.indexer.write.writer import IndexWriter, agreed_weights
from lsr.io.folder import Folder
from lsr.io.progress import Progress
from lsr.types import Document, SparseBatch


class SetWriter:
    """Collects documents for a new set of shards at `path`; nothing is seen there before `commit`.

    It is used as an IndexWriter, which has the meaning of the arguments. Ranges are cut at the commit, when it is known
    how many postings there are: until then everything is collected in one place. builders: processes that then build
    the shards (default: this one, one after another); what they need is collected in one place, too.
    """

    def __init__(
        self,
        path: Path,
        encoder: Encoder,
        partition: Partition,
        *,
        overwrite: bool = False,
        reorder: bool = True,
        threads: int = 2,
        scale: float | None = None,
        progress: Progress | None = None,
        dense: Mapping[str, Any] | None = None,
        passages: Mapping[str, int] | None = None,
        limits: SegmentLimits = DEFAULT_LIMITS,
        expansions: Mapping[str, Any] | None = None,
        builders: Builders | None = None,
        prune: float | None = None,
    ) -> None:
        if prune is not None:
            check_prune(prune, encoder)
        self.path = path
        self.passages = passages
        self.save_sources: Callable[[Folder], Mapping[str, FileInfo]] = lambda _: {}
        """Not called: a set doesn't follow its sources."""
        self.n_docs = 0
        self._encoder = encoder
        self._partition = partition
        self._scale = scale
        self._dense = dense
        self._builders = builders
        self._numbers: list[npt.NDArray[np.int64]] = []
        """The shard of each document, where others build and documents are divided by hashes."""
        self._settings: dict[str, Any] = {"reorder": reorder, "limits": limits, "prune": prune}
        self._stack = ExitStack()
        self._place = SetPlace(path, is_new=True, overwrite=overwrite)
        try:
            self._collector = Collector(self._place.scratch.make_folder, dense=dense, limits=limits)
            options: dict[str, Any] = {
                "reorder": reorder, "threads": threads, "progress": progress, "dense": dense, "limits": limits,
                "expansions": expansions, "prune": prune,
            }  # fmt: skip
            self._writers = [
                self._stack.enter_context(self._shard_writer(number, options))
                for number in range(partition.shards if builders is None else 0)
            ]
        except BaseException:
            self.close()
            raise

    def _shard_writer(self, number: int, options: Mapping[str, Any]) -> IndexWriter:
        scratch = self._place.scratch
        path = scratch.path / self._place.shard_name(number)
        return IndexWriter(path, self._encoder, inside=scratch, **options)

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._collector.close()
        self._stack.__exit__(None, None, None)
        self._place.__exit__(kind, error, trace)

    def close(self) -> None:
        """Remove what was not committed and give the lock back."""
        self._stack.close()
        self._place.close()

    def add(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: npt.NDArray[np.floating] | None = None
    ) -> None:
        """Add documents with one row of vectors each; see `IndexWriter.add`."""
        if self.n_docs + len(documents) > LARGEST_INDEX:
            raise LsrError(f"more than {LARGEST_INDEX:,} documents, the limit of a set on one machine; make several")
        if self._partition.by == HASH and self._builders is None:
            self._deal(documents, vectors, dense)
        else:
            if self._partition.by == HASH:
                self._numbers.append(shards_of(owner_ids(documents), self._partition.shards))
            with explained(self.path):
                self._collector.add(documents, vectors, dense)
        self.n_docs += len(documents)

    def _deal(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: npt.NDArray[np.floating] | None
    ) -> None:
        numbers = shards_of(owner_ids(documents), self._partition.shards)
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            self._writers[number].place_at(
                [documents[row] for row in rows.tolist()], taken(vectors, rows), None if dense is None else dense[rows],
                rows + self.n_docs,
            )  # fmt: skip

    def commit(self) -> Manifest:
        """Build what was added, make it the set's next generation, and return what an index of it all would say."""
        with explained(self.path):
            return self._commit()

    def _commit(self) -> Manifest:
        if self._builders is not None:
            return self._built_elsewhere(self._builders)
        if self._partition.by != HASH:
            collected = self._collector.finish()
            refuse_duplicates(collected)
            self._divide(collected)
        by_shard = [writer.finish() for writer in self._writers]
        everything = [pending for some in by_shard for pending in some]
        if self._partition.by == HASH:
            refuse_duplicates(everything)
        weights = agreed_weights(everything, self._encoder, self._scale)
        shards = {}
        for number, (writer, pending) in enumerate(zip(self._writers, by_shard, strict=True)):
            writer.passages = self.passages
            name = self._place.shard_name(number)
            shards[name] = writer.build(pending, weights)
            writer.close()
            self._place.scratch.rename(name, name, to=self._place.root)
        return self._made(shards, weights.scale)

    def _made(self, shards: Mapping[str, Manifest], scale: float) -> Manifest:
        next_position = self.n_docs if self._partition.by == HASH else 0
        found = self._place.commit(shards, partition=self._partition.by, scale=scale, next_position=next_position)
        return together(list(shards.values()), found.generation)

    def _built_elsewhere(self, builders: Builders) -> Manifest:
        """Let others build the shards out of what was collected here."""
        collected = self._collector.finish()
        refuse_duplicates(collected)
        weights = agreed_weights(collected, self._encoder, self._scale)
        by_hash = self._partition.by == HASH
        numbers = self._numbers if by_hash else [
            np.full(len(part), number) for number, part in enumerate(self._ranges(collected))
        ]  # fmt: skip
        scratch = self._place.scratch
        hand_out(
            scratch, collected, np.concatenate([np.empty(0, np.int32), *numbers]).astype(np.int32), self._encoder,
            weights, dense=self._dense, passages=self.passages, with_positions=by_hash, threads=builders.threads,
            **self._settings,
        )  # fmt: skip
        names = [self._place.shard_name(number) for number in range(self._partition.shards)]
        builders.build([BuildTask(str(scratch.path), name, number) for number, name in enumerate(names)])
        self._collector.close()
        shards = {}
        for name in names:
            shards[name] = read_manifest(scratch.folder(name), 1)
            scratch.rename(name, name, to=self._place.root)
        return self._made(shards, weights.scale)

    def _ranges(self, collected: Sequence[Pending]) -> list[range]:
        """Return the range of rows of each shard."""
        lengths = [np.diff(pending.rows.indptr) for pending in collected]
        first = [_begins_document(pending) for pending in collected]
        return cut_ranges(
            np.concatenate([np.empty(0, np.int64), *lengths]), np.concatenate([np.empty(0, bool), *first]),
            self._partition.shards,
        )  # fmt: skip

    def _divide(self, collected: Sequence[Pending]) -> None:
        """Give each shard its range of what was collected."""
        ends = [part.stop for part in self._ranges(collected)]
        number = done = 0
        for pending in collected:
            rows, at = pending.rows, 0
            documents = pending.documents.some(np.ones(pending.n_docs, bool))
            matrix = None if pending.dense is None else pending.dense.written()
            while at < pending.n_docs:
                while done >= ends[number]:
                    number += 1
                last = min(at + COPIED_AT_ONCE, pending.n_docs, at + ends[number] - done)
                span = slice(int(rows.indptr[at]), int(rows.indptr[last]))
                indptr = rows.indptr[at : last + 1] - rows.indptr[at]
                vectors = SparseBatch(indptr, rows.term_ids[span], rows.weights[span], len(self._encoder.terms))
                some = list(islice(documents, last - at))
                self._writers[number].add(some, vectors, None if matrix is None else matrix[at:last])
                done += last - at
                at = last
            del rows, matrix
        self._collector.close()


def _begins_document(pending: Pending) -> npt.NDArray[np.bool_]:
    """Return the rows that are not further passages of the document of the row before: bool."""
    owners = pending.documents.document_ids(range(pending.n_docs))
    return np.array([True, *(a != b for a, b in pairwise(owners))][: len(owners)], bool)


def together(shards: Sequence[Manifest], generation: int) -> Manifest:
    """Return what the manifest of one index of all shards would say, for counts and messages."""
    return replace(
        shards[-1],
        generation=generation,
        n_clipped=sum(manifest.n_clipped for manifest in shards),
        pruning=pruning_together([manifest.pruning for manifest in shards]),
        segments=tuple(info for manifest in shards for info in manifest.segments),
    )
