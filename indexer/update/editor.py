"""Changing an index: documents added, replaced and deleted, and all of it seen at once, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.encoders.registry import check_same, open_document_encoder
from lsr.encoders.runtime import joined_runtimes
from lsr.errors import BadDocumentError, EncoderError, LsrError, UsageError
from lsr.indexer.encode.open_encoders import malformed_as_damage
from lsr.indexer.sources.table import KIND
from lsr.indexer.sources.tracking import Tracking
from lsr.indexer.storage.deletions import save_live
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import LARGEST_INDEX, Manifest, Part, SegmentInfo
from lsr.indexer.storage.segment import Segment, hash_ids
from lsr.indexer.storage.vocabulary import save_vocabulary
from lsr.indexer.transfer.ready_vectors import READY_VECTORS, ReadyVectors
from lsr.indexer.update.passages import Passages
from lsr.indexer.update.resolve import Outcome, Requests, resolve
from lsr.indexer.update.reweigh import Reweighed
from lsr.indexer.write.prune import MassPruner, first_word
from lsr.indexer.write.segment_builder import Collector, Pending
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import Weights, build_pending, now
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document, SparseBatch
from lsr.version import __version__

Dense = npt.NDArray[np.floating] | None
SHOWN = 3
"""Doc_ids named in an error."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The counts of a transaction.

    unknown: doc_ids to be deleted that were not there. unmerged: the reason why small segments could not be merged
    after the commit; None where nothing failed.
    """

    manifest: Manifest
    n_added: int
    n_replaced: int
    n_deleted: int
    unknown: tuple[str, ...] = ()
    unmerged: str | None = None


class IndexEditor:
    """Changes the index at `path`; nothing is seen before `commit`, and then all of it.

    Additions, replacements and deletions take effect in the order in which they are called. A context manager:
    leaving it without a commit, or by an exception, leaves the index as it was.
    encoder: that of the index, where it is loaded already; by default it is opened when needed.
    limits: the size at which a new segment is full. of_set: the caller changes the set that it is a shard of.
    Raises IndexMissingError, IndexDamagedError, IndexLockedError if another writer is at it, EncoderError for
    another encoder than the index's, LsrError if it can't be written to.
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
        of_set: bool = False,
    ) -> None:
        self.path = Path(path)
        self._encoder = encoder
        self._reorder = reorder
        self.threads = threads
        self._progress = progress or NoProgress()
        self._requests = Requests()
        hold_newest(self.path)[1].release()  # where there is no index, nothing is to be made
        self._place = Workplace.for_existing(self.path, of_set=of_set)
        try:
            self.base = StoredIndex.open(self.path, follow=not of_set)
            if encoder is not None:
                check_encoder(self.base, encoder)
        except BaseException:
            self._place.close()
            raise
        before = self.base.manifest
        self._pruner = None
        if before.pruning is not None:
            self._pruner = MassPruner(before.pruning.mass, first_word(before.encoder))
        self._collector = Collector(self._place.folder, dense=before.dense, limits=limits, pruner=self._pruner)
        self._passages = Passages(self.base)
        self.tracking: Tracking | None = None
        """The sources that were read, where the index follows them."""

    def __enter__(self) -> IndexEditor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._collector.close()
        self.base.close()
        self._place.__exit__(kind, error, trace)

    def close(self) -> None:
        """Give up what was not committed, and give the lock back."""
        self._collector.close()
        self.base.close()
        self._place.close()

    @property
    def encoder(self) -> Encoder:
        """The encoder of the index's documents. Raises EncoderError if it can't be opened."""
        if self._encoder is None:
            self._encoder = open_encoder(self.base)
        return self._encoder

    def share_encoder(self, encoder: Encoder) -> None:
        """Take the encoder that all shards of a set share, so that they number new terms alike."""
        self._encoder = encoder

    @property
    def has_deletions(self) -> bool:
        """True where something is to be deleted, so that only the commit knows which doc_ids are free."""
        return bool(self._requests.deletions)

    @property
    def n_docs(self) -> int:
        """Documents added or replaced so far."""
        return self._collector.n_docs

    def add(self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense = None) -> None:
        """Add documents with one row of vectors each; dense: a row each where the index has dense vectors.

        In an index of passages these are the documents, those of one document one after another. Raises
        BadDocumentError for a doc_id that is there already, here or at the commit; LsrError if the counts differ.
        """
        if not self._requests.deletions:  # else the commit sees what is left
            refuse_known(self.base, documents)
        self.place_at(documents, vectors, dense, None)

    def place_at(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense,
        positions: npt.NDArray[np.int64] | None, *, replacing: bool = False,
    ) -> None:  # fmt: skip
        """Add documents that aren't in the index, or replace those that are.

        positions: theirs in the set that the index is a shard of, where it has any.
        """
        if replacing:
            self._delete(self._passages.replaced_by(documents))
        self._collect(documents, vectors, dense, positions, replacing=replacing)

    def update(self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense = None) -> None:
        """Add documents, each in the place of one with its doc_id; they count as added now."""
        self.place_at(documents, vectors, dense, None, replacing=True)

    def delete(self, doc_ids: Iterable[str]) -> None:
        """Delete documents, with all their passages; ids that are not there are counted at the commit."""
        self._delete(self._passages.of_all(doc_ids))

    def _delete(self, names: Iterable[tuple[str, bool]]) -> None:
        """Delete by name. names: each with whether it is that of a further passage."""
        self._requests.deletions += [(name, self.n_docs, further) for name, further in names]

    def _collect(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: Dense,
        positions: npt.NDArray[np.int64] | None, *, replacing: bool,
    ) -> None:  # fmt: skip
        if self.base.n_positions + self.n_docs + len(documents) > LARGEST_INDEX:
            raise LsrError(f"more than {LARGEST_INDEX:,} documents, the limit of an index; merge it, or make several")
        with explained(self.path, self._place):
            self._collector.add(documents, vectors, dense, positions)
        self._passages.note(documents)
        self._requests.further += bytes(self._passages.further(documents))
        self._requests.replacing.append((len(documents), replacing))

    def commit(self, *, strict: bool = False) -> Changes:
        """Make the changes the index's next generation. Where there are none, nothing is written.

        strict: raise LsrError, and change nothing, if an id to be deleted is not there.
        """
        with explained(self.path, self._place):
            pending, outcome = self.resolved()
            if strict:
                refuse_unknown(outcome.unknown)
            manifest = self.base.manifest
            if self.n_docs or any(outcome.dead):
                changed = self.changed(pending, outcome)
                weights = agreed_weights([changed], self.base.manifest, self._encoder_for([changed]))
                manifest = self.commit_changed(changed, weights)
            elif self.tracking is not None and self.tracking.is_changed:
                manifest = replace(
                    manifest, generation=self._place.generation, created=now(), library_version=__version__,
                    sources=self._sources(),
                )  # fmt: skip
                self._place.commit(manifest)
        return Changes(
            manifest, outcome.n_added, outcome.n_replaced, outcome.n_deleted, tuple(outcome.unknown)
        )  # fmt: skip

    def resolved(self) -> tuple[list[Pending], Outcome]:
        """Return what was collected, and what becomes of each document. No more changes may come."""
        pending = self._collector.finish()
        outcome = resolve(self.base.segments, pending, self._requests)
        outcome.unknown += self._passages.unknown
        return pending, outcome

    def changed(self, pending: Sequence[Pending], outcome: Outcome) -> Changed:
        """Return the documents that there will be."""
        kept = [
            (segment, live)
            for segment, dead in zip(self.base.segments, outcome.dead, strict=True)
            if (live := _without(segment.live_rows, dead)).any()
        ]
        reweighed: list[Reweighed] | None = None
        if self.base.manifest.encoder.get("needs_corpus_statistics", False):
            reweighed = [
                Reweighed(segment, live, self._place.folder(f"reweighed-{number}"))
                for number, (segment, live) in enumerate(kept)
            ]
        return Changed([one for one in pending if one.n_dead < one.n_docs], kept, reweighed)

    def _encoder_for(self, changed: Sequence[Changed]) -> Encoder | None:
        return self.encoder if any(one.needs_encoder for one in changed) else None

    def commit_changed(self, changed: Changed, weights: Weights) -> Manifest:
        """Make what `changed` gave the index's next generation, weighed as all shards of a set agreed on."""
        with explained(self.path, self._place):
            return self._commit(changed, weights)

    def _commit(self, changed: Changed, weights: Weights) -> Manifest:
        before = self.base.manifest
        pending, (scale, statistics) = changed.pending, weights
        encoder = self._encoder_for([changed])
        vocab_size = len(self.base.vocabulary) if encoder is None else len(encoder.terms)
        self._progress.start("indexing", self.n_docs, "document")
        reweighed: Sequence[Reweighed | None] = changed.reweighed or [None] * len(changed.kept)
        segments = [
            self._keep(segment, live, new, scale, vocab_size)
            for (segment, live), new in zip(changed.kept, reweighed, strict=True)
        ]
        n_clipped = before.n_clipped
        for one in pending:
            segment, clipped = build_pending(
                self._place, one, scale, vocab_size,
                reorder=self._reorder, threads=self.threads, progress=self._progress,
            )  # fmt: skip
            segments.append(segment)
            n_clipped += clipped
        vocabulary = before.vocabulary
        if encoder is not None and vocab_size > len(self.base.vocabulary):
            terms = encoder.terms
            vocabulary = self._place.save("vocabulary", lambda folder: save_vocabulary(folder, terms))
        manifest = replace(
            before,
            generation=self._place.generation,
            created=now(),
            library_version=__version__,
            encoder=before.encoder if not pending else joined_runtimes(before.encoder, encoder),
            scale=scale,
            n_clipped=n_clipped,
            vocabulary=vocabulary,
            segments=tuple(segments),
            statistics=statistics,
            sources=self._sources(),
            pruning=before.pruning if self._pruner is None else self._pruner.record(before.pruning),
        )
        self._place.commit(manifest)
        return manifest

    def _sources(self) -> Part | None:
        """Return the part of the sources: that of the index, or the one that follows from what was read."""
        if self.tracking is None or not self.tracking.is_changed:
            return self.base.manifest.sources
        return self._place.save(KIND, self.tracking.save)

    def _keep(
        self,
        segment: Segment,
        live: npt.NDArray[np.bool_],
        reweighed: Reweighed | None,
        scale: float,
        vocab_size: int,
    ) -> SegmentInfo:
        """Return what the new generation has of an old segment."""
        info = segment.info
        if reweighed is not None:
            info = replace(info, part=self._place.keep("segments", *reweighed.save(scale, vocab_size)))
        n_deleted = int(len(live) - live.sum())
        if n_deleted > info.n_deleted:
            insertion = segment.arrays["insertion"]
            deletions = self._place.save("deletions", lambda folder: save_live(folder, live, insertion))
            info = replace(info, n_deleted=n_deleted, deletions=deletions)
        return info


@dataclass(frozen=True, slots=True)
class Changed:
    """The documents of an index after a transaction.

    pending: new segments, none that is empty. kept: old ones with the rows that are left. reweighed: the old ones
    again, where weights need statistics of the corpus; else None.
    """

    pending: Sequence[Pending]
    kept: Sequence[tuple[Segment, npt.NDArray[np.bool_]]]
    reweighed: Sequence[Reweighed] | None

    @property
    def needs_encoder(self) -> bool:
        """True where the encoder is needed: for new documents, or for weights of all."""
        return bool(self.pending) or self.reweighed is not None


def agreed_weights(changed: Sequence[Changed], before: Manifest, encoder: Encoder | None) -> Weights:
    """Weigh all documents by the statistics of those that are there, as a new index of them would.

    changed: of each shard of a set, or of an index alone. encoder: None where nothing is new.
    """
    from lsr.indexer.write.corpus_statistics import weigh_all
    from lsr.indexer.write.invert import choose_scale

    pending = [new for one in changed for new in one.pending]
    if encoder is not None and encoder.corpus_weighting is not None:
        everything: list[Reweighed | Pending] = [*(old for one in changed for old in one.reweighed or ()), *pending]
        statistics = weigh_all(everything, len(encoder.terms), encoder.corpus_weighting)
        return Weights(choose_scale([one.rows for one in everything], final=True), statistics)
    if not any(segment.info.n_postings for one in changed for segment, _ in one.kept):
        return Weights(choose_scale([one.rows for one in pending], final=False), before.statistics)
    if before.scale == 1.0:
        _refuse_fractions(pending)
    return Weights(before.scale, before.statistics)


def refuse_known(index: StoredIndex, documents: Sequence[Document]) -> None:
    """Raise BadDocumentError for a document whose doc_id an index has."""
    ids = [document.doc_id for document in documents]
    hashes = hash_ids(ids)
    for segment in index.segments:
        known = np.flatnonzero(segment.rows_of(ids, hashes) >= 0)
        if len(known):
            raise BadDocumentError(
                f"doc_id {ids[known[0]]} is in the index already; 'lsr update' replaces it, or give the new one another"
            )


def refuse_unknown(unknown: Sequence[str]) -> None:
    """Raise LsrError, naming some, where doc_ids to be deleted are not there."""
    if unknown:
        shown = ", ".join(unknown[:SHOWN]) + (", …" if len(unknown) > SHOWN else "")
        raise LsrError(f"not in the index: {shown}; nothing was deleted; leave out --strict to skip them")


def _without(live: npt.NDArray[np.bool_], dead: Sequence[int]) -> npt.NDArray[np.bool_]:
    if not dead:
        return live
    live = live.copy()
    live[np.array(dead)] = False
    return live


def check_encoder(index: StoredIndex, encoder: Encoder) -> None:
    """Raise EncoderError unless an encoder continues the vocabulary of the index."""
    check_same(index.manifest.encoder, encoder.description)
    terms = encoder.terms
    if len(terms) < len(index.vocabulary) or any(a != b for a, b in zip(index.vocabulary, terms, strict=False)):
        raise EncoderError(
            f"the encoder {encoder.description.get('name')!r} numbers its terms otherwise than the index at "
            f"{index.path}: leave the encoder out, and the index opens its own"
        )


def open_encoder(index: StoredIndex) -> Encoder:
    """Open the encoder of an index's documents, which continues its terms. Raises EncoderError."""
    terms = list(index.vocabulary)
    if index.manifest.encoder["kind"] == READY_VECTORS:
        return ReadyVectors(terms)
    with malformed_as_damage(index):
        encoder = open_document_encoder(index.manifest.encoder, terms)
    if encoder.corpus_weighting is None:  # else it was given the terms
        check_encoder(index, encoder)
    return encoder


def _refuse_fractions(pending: Sequence[Pending]) -> None:
    """Raise UsageError for weights that an index of whole ones would round beyond recognition."""
    for one in pending:
        for _, weights in one.rows.live_stretches():
            if not np.array_equal(weights, np.rint(weights)):
                raise UsageError(
                    "the index holds whole weights (its scale is 1), but new ones are not whole: make them whole in "
                    "the same way, or index all vectors again with --overwrite"
                )
