"""Making an index: documents and their vectors come in, a generation is committed, all of it or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.encoders.runtime import with_runtime
from lsr.errors import LsrError
from lsr.indexer.corpus.expansions.reading import EXPANSIONS
from lsr.indexer.storage.arrays import save_arrays
from lsr.indexer.storage.deletions import save_live
from lsr.indexer.storage.dense_vectors import KIND as DENSE_KIND
from lsr.indexer.storage.files import DOCUMENTS, FileInfo
from lsr.indexer.storage.manifest import LARGEST_INDEX, Manifest, SegmentInfo
from lsr.indexer.storage.vocabulary import save_vocabulary
from lsr.indexer.write.document_arrays import document_arrays
from lsr.indexer.write.prune import MassPruner, check_prune, first_word
from lsr.indexer.write.segment_builder import Collector, Pending, refuse_duplicates
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.transaction import Workplace, explained, synced_files
from lsr.io.folder import Folder
from lsr.io.private_folder import written_privately
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document, SparseBatch
from lsr.version import __version__


class IndexWriter:
    """Collects documents for a new index at `path`; nothing is seen there before `commit`.

    scale: the weight that one impact stands for, where it is known; default, chosen by the largest weight.
    A context manager: leaving it without a commit, or by an exception, leaves no trace; after an exception
    there is nothing else to do. dense: the description of the encoder of dense vectors, if they come too.
    passages: how documents were cut into passages, to be recorded; may still be set before the commit. save_sources:
    writes the table of the sources (`lsr.indexer.sources`), to be set before the commit where files are read.
    limits: the size at which a segment is full and the next one begins. expansions: what to record of the texts by
    which documents were expanded. prune: share of a document's mass whose terms are kept (default: all are), which is
    recorded. Raises IndexExistsError if there is
    an index and not `overwrite`, IndexLockedError if another writer is at it, UsageError if the folder holds other
    things, LsrError if it can't be written to.
    """

    def __init__(
        self,
        path: Path,
        encoder: Encoder,
        *,
        overwrite: bool = False,
        inside: Folder | None = None,
        reorder: bool = True,
        threads: int = 2,
        scale: float | None = None,
        progress: Progress | None = None,
        dense: Mapping[str, Any] | None = None,
        passages: Mapping[str, int] | None = None,
        limits: SegmentLimits = DEFAULT_LIMITS,
        expansions: Mapping[str, Any] | None = None,
        prune: float | None = None,
    ) -> None:
        self.path = path
        self._pruner = None
        if prune is not None:
            check_prune(prune, encoder)
            self._pruner = MassPruner(prune, first_word(encoder.description))
        self._dense = dense
        self.passages = passages
        self.save_sources: Callable[[Folder], Mapping[str, FileInfo]] = lambda _: {}
        self._encoder = encoder
        self._more = {} if expansions is None else {EXPANSIONS: dict(expansions)}
        self._reorder = reorder
        self._threads = threads
        self._scale = scale
        self._progress = progress or NoProgress()
        self._place = Workplace.for_new(path, overwrite=overwrite, inside=inside)
        self._collector = Collector(self._place.folder, dense=dense, limits=limits, pruner=self._pruner)

    @property
    def n_docs(self) -> int:
        """Documents so far."""
        return self._collector.n_docs

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._collector.close()
        self._place.__exit__(kind, error, trace)

    def close(self) -> None:
        """Remove what was not committed and give the lock back."""
        self._collector.close()
        self._place.close()

    def add(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: npt.NDArray[np.floating] | None = None
    ) -> None:
        """Add documents with one row of vectors each; dense: a row each where the index has dense vectors.

        Raises LsrError if the counts or the dimension differ, EncoderError naming a document whose dense vector
        isn't made of numbers.
        """
        self.place_at(documents, vectors, dense, None)

    def place_at(
        self,
        documents: Sequence[Document],
        vectors: SparseBatch,
        dense: npt.NDArray[np.floating] | None,
        positions: npt.NDArray[np.int64] | None,
    ) -> None:
        """Add documents as `add` does. positions: theirs in the set that the index is a shard of, where it has any."""
        if self.n_docs + len(documents) > LARGEST_INDEX:
            raise LsrError(f"more than {LARGEST_INDEX:,} documents, the limit of an index; make several")
        with explained(self.path, self._place):
            self._collector.add(documents, vectors, dense, positions)

    def commit(self) -> Manifest:
        """Build what was added, make it the index's next generation, and return its manifest."""
        with explained(self.path, self._place):
            pending = self._collector.finish()
            refuse_duplicates(pending)
            return self._build(pending, agreed_weights(pending, self._encoder, self._scale))

    def finish(self) -> list[Pending]:
        """Return what was added, for the shards of a set to agree on its weights; no more may come."""
        with explained(self.path, self._place):
            return self._collector.finish()

    def build(self, pending: Sequence[Pending], weights: Weights) -> Manifest:
        """Commit what `finish` gave, with the weights that all shards agreed on."""
        with explained(self.path, self._place):
            return self._build(pending, weights)

    def _build(self, pending: Sequence[Pending], weights: Weights) -> Manifest:
        scale, statistics = weights
        vocab_size = len(self._encoder.terms)
        self._progress.start("indexing", self.n_docs, "document")
        segments, n_clipped = [], 0
        for one in pending:
            segment, clipped = build_pending(
                self._place, one, scale, vocab_size,
                reorder=self._reorder, threads=self._threads, progress=self._progress,
            )  # fmt: skip
            segments.append(segment)
            n_clipped += clipped
        manifest = Manifest(
            generation=self._place.generation,
            created=now(),
            library_version=__version__,
            encoder={**with_runtime(self._encoder.description, self._encoder), **self._more},
            scale=scale,
            n_clipped=n_clipped,
            vocabulary=self._place.save("vocabulary", lambda folder: save_vocabulary(folder, self._encoder.terms)),
            encoder_files=self._place.save("encoder", self._save_query_side),
            segments=tuple(segments),
            statistics=statistics,
            dense=self._dense,
            passages=self.passages,
            sources=self._place.save("sources", self.save_sources),
            pruning=None if self._pruner is None else self._pruner.record(),
        )
        self._place.commit(manifest)
        self._collector.close()
        return manifest

    def _save_query_side(self, folder: Folder) -> dict[str, FileInfo]:
        with written_privately(folder) as place:
            self._encoder.save_query_side(place)
        return synced_files(folder)


class Weights(NamedTuple):
    """The scale of impacts, and the statistics of the corpus that weights depend on, for the manifest."""

    scale: float
    statistics: Mapping[str, float]


def agreed_weights(pending: Sequence[Pending], encoder: Encoder, scale: float | None = None) -> Weights:
    """Weigh what was collected, by statistics of all of it, and choose the scale of its impacts.

    scale: where it is known: one that depends on the data alone would differ between indexes.
    """
    from lsr.indexer.write.corpus_statistics import weigh_all
    from lsr.indexer.write.invert import choose_scale

    weighting = encoder.corpus_weighting
    statistics = {} if weighting is None else weigh_all(pending, len(encoder.terms), weighting)
    return Weights(scale or choose_scale([one.rows for one in pending], final=weighting is not None), statistics)


def now() -> str:
    """Return the time, for a manifest."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def build_pending(
    place: Workplace,
    pending: Pending,
    scale: float,
    vocab_size: int,
    *,
    reorder: bool,
    threads: int,
    progress: Progress,
) -> tuple[SegmentInfo, int]:
    """Make a segment of what was collected; return it, and how many weights were clipped."""
    from lsr.indexer.storage.fields import write_fields
    from lsr.indexer.write.invert import segment_arrays

    arrays, clipped = segment_arrays(
        pending.rows,
        scale,
        vocab_size,
        counts=pending.counts,
        reorder=reorder,
        threads=threads,
        advance=progress.advance,
    )
    arrays |= document_arrays(pending)
    files = save_arrays(pending.folder, arrays)
    files |= {DOCUMENTS: pending.documents_info, **write_fields(pending.folder, pending.documents)}
    n_docs, n_postings = pending.n_docs, pending.n_postings
    deletions, n_deleted = None, pending.n_dead
    if n_deleted:
        live, insertion = pending.live, arrays["insertion"]
        deletions = place.save("deletions", lambda folder: save_live(folder, live, insertion))
    pending.delete_spool()
    part = place.keep("segments", pending.folder, files)
    dense = None
    if pending.dense is not None:
        dense = place.keep(DENSE_KIND, pending.dense.folder, pending.dense.finish())
    return SegmentInfo(part, n_docs, n_postings, n_deleted, deletions, dense), clipped
