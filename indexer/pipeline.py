"""The pipeline of indexing: corpus → documents → vectors → writer, a batch at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.encoders.base import Encoder, extend_rows, term_ids_of
from lsr.encoders.dense.base import DenseEncoder, DenseVectors, dense_description
from lsr.encoders.memory import give_back
from lsr.encoders.runtime import with_runtime
from lsr.encoders.threads import limited_threads
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.corpus.expansions.reading import EXPANSIONS, Expansions
from lsr.indexer.corpus.reader import read_roots
from lsr.indexer.corpus.remote.url import Url, as_place
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import walk_roots
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.resumable_job import forget_job, kept_documents, writing
from lsr.indexer.encode.resume import Staging, staging_folder
from lsr.indexer.encode.units import Workers
from lsr.indexer.encode.vectors_origin import origin_of
from lsr.indexer.encode.windows import MAX_DOCUMENTS, MAX_TOKENS, windows
from lsr.indexer.shards.build_task import Builders
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.shards.writer import SetWriter
from lsr.indexer.sources.table import SourceTable
from lsr.indexer.sources.tracking import Tracking
from lsr.indexer.storage.manifest import Manifest
from lsr.indexer.transfer.read_vectors import stored_scale
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.transfer.vector_files import read_vector_file
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.io.progress import NoProgress, Progress
from lsr.types import PASSAGE_OF, Document

if TYPE_CHECKING:
    from lsr.indexer.corpus.options import CorpusOptions
    from lsr.indexer.encode.document_reader import DocumentReader

log = logging.getLogger(__name__)

COUNTED_AT_ONCE, ENCODED_AT_ONCE = 2048, MAX_DOCUMENTS
"""Documents in a batch: for words, whose counting is fast, and for models, so that progress shows every few seconds."""
SHOWN_BYTES = 1 << 18
READING, ENCODING = "reading", "encoding"
"""Stages of progress in which documents are read: for words alone, and for a model."""


def index_documents(
    documents: Iterable[Document],
    index: str | Path,
    encoder: Encoder,
    *,
    dense: DenseEncoder | None = None,
    reader: DocumentReader | None = None,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    limits: SegmentLimits = DEFAULT_LIMITS,
    shards: Partition | None = None,
    expansions: Expansions | None = None,
    builders: Builders | None = None,
    prune: float | None = None,
) -> Manifest:
    """Index a stream of documents, in one go.

    dense: encodes their dense vectors; the same object as `encoder` where that is a joint one. reader: cuts long
    documents into passages, and counts tokens (default: documents stay as they are). limits: the size at which a
    segment is full. shards: make a set of shards (default: one index). expansions: texts that `encoder` reads behind
    the documents' own. builders: other processes that build its shards (default: this one), without expansions. prune:
    share of a document's mass whose terms are kept (default: all are). Raises
    what IndexWriter and encoders raise; LsrError if there is no document.
    """
    _check_alone(expansions, None, builders)
    options = {
        "overwrite": overwrite, "reorder": reorder, "threads": threads, "progress": progress, "limits": limits,
        "shards": shards, "builders": builders, EXPANSIONS: None if expansions is None else expansions.record,
        "prune": prune,
    }  # fmt: skip
    with limited_threads(threads), _writer(index, encoder, dense, reader, options) as writer:
        _add_directly(writer, _read(documents, reader), Legs(encoder, dense, expansions))
        return _committed(writer)


def index_corpus(
    paths: Sequence[str | Path | Url],
    index: str | Path,
    encoder: Encoder,
    *,
    dense: DenseEncoder | None = None,
    reader: DocumentReader | None = None,
    skip_bad: bool = False,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    reading: CorpusOptions | None = None,
    shards: Partition | None = None,
    expansions: Expansions | None = None,
    workers: Workers | None = None,
    builders: Builders | None = None,
    prune: float | None = None,
) -> tuple[Manifest, list[str]]:
    """Index folders and files, here or by URL. Return the manifest, and lines that sum up what was read and skipped.

    What a model encodes is kept beside the index until the commit (`Staging`), so that the same call after an
    interruption resumes; words alone are counted again. dense, reader, shards, expansions, prune: as of
    `index_documents`. workers: other processes that encode; builders: others that build the shards of a set (default:
    this one); neither reads expansions. The index itself is never read, wherever it is. Raises what `read_corpus` and
    `index_documents` raise.
    """
    _check_alone(expansions, workers, builders)
    tracking = Tracking(SourceTable())
    tracking.target([as_place(path) for path in paths], reading, skip_bad=skip_bad, follow=False)
    stage = ENCODING if encoder.corpus_weighting is None or dense is not None else READING
    corpus = Corpus(tracking, Path(index), progress=progress, stage=stage)

    def documents() -> Iterator[Document]:
        return _read(corpus.documents(), reader)

    record = None if expansions is None else expansions.record
    options = {
        "overwrite": overwrite, "reorder": reorder, "threads": threads, "progress": progress, "shards": shards,
        "builders": builders, EXPANSIONS: record, "prune": prune,
    }  # fmt: skip
    with limited_threads(threads), _writer(index, encoder, dense, reader, options) as writer:
        writer.save_sources = tracking.save
        # Words are counted again: their terms are numbered in the order in which they come.
        legs = Legs(encoder, dense, expansions)
        models = Legs(None if encoder.corpus_weighting is not None else encoder, dense, expansions).models
        if models.is_empty:
            _forget_other_job(Path(index))
            _add_directly(writer, documents(), legs)
            manifest = _committed(writer)
        else:
            settings = {"passages": _passages(reader), **({} if record is None else {EXPANSIONS: dict(record)})}
            with Staging(Path(index), models, settings=settings, workers=workers) as staging:
                for shard in staging.encode(documents):
                    for batch, sparse, halves in staging.read(shard):
                        read = legs.read_by_sparse(batch)
                        rows = encoder.encode_documents(read) if sparse is None else extend_rows(encoder, sparse, read)
                        writer.add(batch, rows, halves)
                manifest = _committed(writer)
    return manifest, [*corpus.summary(), *(() if reader is None else reader.summary())]


def _check_alone(expansions: Expansions | None, workers: Workers | None, builders: Builders | None) -> None:
    if expansions is not None and (workers is not None or builders is not None):
        raise UsageError("expansions are read by this process alone, not on a cluster: leave out one of them")


def _read(documents: Iterable[Document], reader: DocumentReader | None) -> Iterator[Document]:
    return iter(documents) if reader is None else reader.read(documents)


def _passages(reader: DocumentReader | None) -> dict[str, int] | None:
    settings = None if reader is None else reader.settings
    return None if settings is None else dict(settings)


def _writer(
    index: str | Path,
    encoder: Encoder,
    dense: DenseEncoder | None,
    reader: DocumentReader | None,
    options: Mapping[str, Any],
) -> IndexWriter | SetWriter:
    return _new_writer(
        Path(index),
        encoder,
        dense=None if dense is None else with_runtime(dense_description(dense), dense),
        passages=_passages(reader),
        **options,
    )


def _new_writer(
    index: Path, encoder: Encoder, *, shards: Partition | None, builders: Builders | None, **options: Any
) -> IndexWriter | SetWriter:
    if shards is None:
        return IndexWriter(index, encoder, **options)
    return SetWriter(index, encoder, shards, builders=builders, **options)


def _add_directly(writer: IndexWriter | SetWriter, documents: Iterable[Document], legs: Legs) -> None:
    assert legs.sparse is not None
    words_alone = legs.sparse.corpus_weighting is not None and legs.dense is None
    size: dict[str, Any] = {"max_tokens": MAX_TOKENS, "text_length": legs.text_length}
    if words_alone:
        size = {"max_documents": COUNTED_AT_ONCE}
    for batch in windows(documents, **size):
        vectors = legs.encode(batch)
        assert vectors.sparse is not None
        writer.add(batch, vectors.sparse, vectors.dense)


def _committed(writer: IndexWriter | SetWriter) -> Manifest:
    if writer.n_docs == 0:
        raise LsrError("there is no document to index")
    give_back()  # what reading and encoding freed: building an index needs most memory
    return writer.commit()


def _forget_other_job(index: Path) -> None:
    folder = staging_folder(index)
    if n_docs := kept_documents(folder):
        log.info(f"{n_docs:,} documents that an interrupted run had encoded by a model are of no use here: removed")
    with writing(folder):
        forget_job(folder)


def reading_stage(manifest: Manifest) -> str:
    """Return the name of the stage in which documents are read for an index: what takes most of the time."""
    is_encoded = manifest.encoder.get("query_side") != "words" or manifest.dense is not None
    return ENCODING if is_encoded else READING


class Corpus:
    """The roots of a transaction as documents, as often as asked for; counts what was skipped the last time.

    stage: name of the reading for the progress.
    """

    def __init__(self, tracking: Tracking, index: Path, *, progress: Progress | None, stage: str) -> None:
        self._stage = stage
        self._tracking = tracking
        self._exclude = [index, staging_folder(index)]
        self._progress = progress or NoProgress()
        self._report = CorpusReport()

    def documents(self) -> Iterator[Document]:
        """Yield the documents. Nothing is read before the first is asked for."""
        # Only now, so that a folder that can't be written to is refused before everything is read.
        tracking = self._tracking
        files = walk_roots(tracking.roots, CorpusReport(), exclude=self._exclude, apart=tracking.apart)
        self._progress.start(self._stage, sum(source.size_bytes for source in files) or None, "B")
        report = self._report = CorpusReport()
        tracking.begin()
        documents = read_roots(
            tracking.roots, report=report, exclude=self._exclude, apart=tracking.apart, listener=tracking
        )
        yield from with_progress(documents, report, self._progress)

    def summary(self) -> list[str]:
        """Return lines that sum up what was read and skipped."""
        return self._report.summary()


def with_progress(documents: Iterable[Document], report: CorpusReport, progress: Progress) -> Iterator[Document]:
    """Yield documents, and advance the progress by the bytes that were read for them."""
    shown = 0
    for document in documents:
        if report.bytes_done - shown > SHOWN_BYTES:
            progress.advance(report.bytes_done - shown)
            shown = report.bytes_done
        yield document
    progress.advance(report.bytes_done - shown)


def index_vectors(
    files: Sequence[str | Path],
    index: str | Path,
    *,
    encoder: Encoder | None = None,
    dense: DenseEncoder | None = None,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    shards: Partition | None = None,
    builders: Builders | None = None,
    prune: float | None = None,
) -> tuple[Manifest, list[str]]:
    """Index ready vectors; return the manifest, and lines that sum up what was dropped.

    encoder: what queries will be encoded by; its vocabulary then decides the terms. dense: encodes the titles and
    texts that come with the vectors. shards, builders, prune: as of `index_documents`. Raises what `read_vectors` and
    IndexWriter
    raise; LsrError if there is no vector, BadDocumentError for one without text where `dense` would read it.
    """
    source: Encoder
    lookup: Callable[[str], int | None]
    if encoder is None:
        source = ready = ReadyVectors()
        lookup, n_known = ready.term_id, None
    elif encoder.corpus_weighting is not None:
        name = encoder.description["name"]
        raise UsageError(f"{name} weighs words by statistics of the corpus, so ready vectors can't be of it")
    else:
        source, n_known = encoder, len(encoder.terms)
        lookup = term_ids_of(encoder)
    listener = progress or NoProgress()
    dropped = 0
    origin = origin_of(files)
    if origin is not None and encoder is not None:
        origin.check(encoder.description, f"encoder {encoder.description.get('name')}")
    passages = dict(origin.passages) if origin is not None and origin.passages else {}
    # Vectors that came out of an index become the same impacts again.
    scale = stored_scale([Path(file) for file in files])
    options: dict[str, Any] = {"overwrite": overwrite, "reorder": reorder, "threads": threads, "scale": scale,
                               "prune": prune}  # fmt: skip
    described = None if dense is None else with_runtime(dense_description(dense), dense)
    writing_into = _new_writer(Path(index), source, dense=described, progress=progress, shards=shards,
                               builders=builders, **options)  # fmt: skip
    with limited_threads(threads), writing_into as writer:
        listener.start("reading", None, "vector")
        for file in files:
            for documents, vectors, unknown in read_vector_file(Path(file), lookup, n_known=n_known):
                writer.add(documents, vectors, None if dense is None else _of_texts(dense, documents, Path(file)))
                if any(PASSAGE_OF in document.fields for document in documents):
                    writer.passages = passages
                listener.advance(len(documents))
                dropped += unknown
        if writer.n_docs == 0:
            raise LsrError(f"there is no vector in {', '.join(map(str, files))}")
        manifest = writer.commit()
    return manifest, [f"{dropped:,} weights of terms that the encoder doesn't know were dropped"] if dropped else []


def _of_texts(dense: DenseEncoder, documents: Sequence[Document], file: Path) -> DenseVectors:
    for document in documents:
        if not document.full_text.strip():
            raise BadDocumentError(
                f"{file}: vector {document.doc_id!r} comes without title and text, which the dense model reads: write "
                "them beside the vectors, or leave out the dense model"
            )
    vectors: DenseVectors = dense.encode_dense_documents(documents)
    return vectors
