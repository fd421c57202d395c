"""Statistics of an index: what it holds, how large its parts are, and what it was made with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsr.api.documents import count_documents

if TYPE_CHECKING:
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.storage.manifest import Manifest

_DOCUMENT_FILES = ("documents.arrow", "id_hash.npy", "id_row.npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Statistics of one generation of an index.

    Attributes:
        path: folder of the index.
        n_documents: number of documents.
        n_passages: number of passages, uncut documents among them; None where documents weren't cut.
        n_deleted: number of deleted documents, or passages, that the next merge removes.
        n_postings: number of postings.
        n_terms: number of terms of the vocabulary.
        n_segments: number of segments.
        n_shards: number of shards of a set; None for a single index.
        partition: how a set's documents are divided: `range` or `hash`; None for a single index.
        size_bytes: size on disk.
        size_bytes_of: size of each kind of file.
        encoder: description of the encoder.
        dense: description of the encoder of the dense vectors, None where there are none.
        tuning: settings of hybrid search that were chosen for the documents, and on what; None where none were.
        smoothing: how documents were smoothed over their neighbours, and how many; None where they weren't.
        pruning: how documents were pruned when they were added: `mass`, `n_dropped`, and the `recall` among `n_sampled`
            of them; None where they weren't.
        recall: what approximate searches find of the exact results, as `lsr stats --recall` measured it: `levels`, and
            the `generation`, `n_docs` and `n_queries` of that; None where it wasn't measured.
        passages: how documents were cut into passages, None where they weren't.
        statistics: statistics of the corpus that the weights depend on.
        scale: weight of an impact of 1.
        n_clipped: number of weights that were too large for an impact.
        generation: number of the generation.
        created: time at which it was made.
        library_version: version of this library that made it.
    """

    path: str
    n_documents: int
    n_passages: int | None
    n_deleted: int
    n_postings: int
    n_terms: int
    n_segments: int
    n_shards: int | None
    partition: str | None
    size_bytes: int
    size_bytes_of: Mapping[str, int]
    encoder: Mapping[str, Any]
    dense: Mapping[str, Any] | None
    tuning: Mapping[str, Any] | None
    smoothing: Mapping[str, float] | None
    pruning: Mapping[str, Any] | None
    recall: Mapping[str, Any] | None
    passages: Mapping[str, int] | None
    statistics: Mapping[str, float]
    scale: float
    n_clipped: int
    generation: int
    created: str
    library_version: str


def stats_of(index: StoredIndex) -> Stats:
    """Return the statistics of an open index."""
    manifest = index.manifest
    return Stats(
        path=str(index.path),
        n_documents=count_documents(index),
        n_passages=None if manifest.passages is None else manifest.n_docs,
        n_deleted=manifest.n_positions - manifest.n_docs,
        n_postings=manifest.n_postings,
        n_terms=len(index.vocabulary),
        n_segments=len(manifest.segments),
        n_shards=len(index.shards) or None,
        partition=index.partition,
        size_bytes=manifest.size_bytes,
        size_bytes_of=_sizes(manifest),
        encoder=manifest.encoder,
        dense=manifest.dense,
        tuning=None if manifest.tuning is None else manifest.tuning.to_json(),
        smoothing=manifest.smoothing,
        pruning=None if manifest.pruning is None else manifest.pruning.to_json(),
        recall=manifest.recall,
        passages=manifest.passages,
        statistics=manifest.statistics,
        scale=manifest.scale,
        n_clipped=manifest.n_clipped,
        generation=manifest.generation,
        created=manifest.created,
        library_version=manifest.library_version,
    )


def _sizes(manifest: Manifest) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for segment in manifest.segments:
        for name, info in segment.part.files.items():
            sizes["documents" if name in _DOCUMENT_FILES else "postings"] += info.size_bytes
        if segment.deletions is not None:
            sizes["deletions"] += sum(info.size_bytes for info in segment.deletions.files.values())
        if segment.dense is not None:
            sizes["dense vectors"] += sum(info.size_bytes for info in segment.dense.files.values())
    parts = {"vocabulary": manifest.vocabulary, "encoder": manifest.encoder_files, "sources": manifest.sources}
    for kind, part in parts.items():
        if part is None:
            continue
        sizes[kind] += sum(info.size_bytes for info in part.files.values())
    return dict(sizes)
