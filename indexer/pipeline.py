"""The way into an index: corpus → documents → vectors → writer, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from lsr.encoders.base import Encoder
from lsr.errors import LsrError
from lsr.indexer.manifest import Manifest
from lsr.indexer.progress import Progress, Silence
from lsr.indexer.vectors import ReadyVectors, read_vectors
from lsr.indexer.writer import IndexWriter
from lsr.types import Document

BATCH = 2048


def batches(documents: Iterable[Document], size: int = BATCH) -> Iterator[list[Document]]:
    """Cut a stream into lists of up to `size`."""
    stream = iter(documents)
    while batch := list(islice(stream, size)):
        yield batch


def index_documents(
    documents: Iterable[Document],
    index: Path,
    encoder: Encoder,
    *,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Manifest:
    """Index a stream of documents. Raises what IndexWriter and the encoder raise; LsrError if there is none."""
    with IndexWriter(
        index, encoder, overwrite=overwrite, reorder=reorder, threads=threads, progress=progress
    ) as writer:
        for batch in batches(documents):
            writer.add(batch, encoder.encode_documents(batch))
        if writer.n_docs == 0:
            raise LsrError("there is no document to index")
        return writer.commit()


def index_corpus(
    paths: Sequence[Path],
    index: Path,
    encoder: Encoder,
    *,
    skip_bad: bool = False,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Manifest, list[str]]:
    """Index folders and files; return the manifest, and lines that sum up what was skipped."""
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.indexer.corpus.report import CorpusReport
    from lsr.indexer.corpus.walk import total_bytes

    listener = progress or Silence()
    report = CorpusReport()
    listener.start("reading", total_bytes(paths), "B")

    def documents() -> Iterator[Document]:
        shown = 0
        for document in read_corpus(paths, skip_bad=skip_bad, report=report):
            if report.bytes_done - shown > 1 << 18:
                listener.advance(report.bytes_done - shown)
                shown = report.bytes_done
            yield document

    manifest = index_documents(
        documents(), index, encoder, overwrite=overwrite, reorder=reorder, threads=threads, progress=progress
    )
    return manifest, report.summary()


def index_vectors(
    files: Sequence[Path],
    index: Path,
    *,
    encoder: Encoder | None = None,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Manifest, list[str]]:
    """Index ready vectors. encoder: what queries will be encoded by; its vocabulary then decides the terms."""
    source: Encoder
    if encoder is None:
        source = ready = ReadyVectors()
        lookup = ready.term_id
    else:
        source = encoder
        lookup = {term: i for i, term in enumerate(encoder.terms)}.get  # type: ignore[assignment]
    listener = progress or Silence()
    dropped = 0
    with IndexWriter(index, source, overwrite=overwrite, reorder=reorder, threads=threads, progress=progress) as writer:
        listener.start("reading", None, "vector")
        for file in files:
            for documents, vectors, unknown in read_vectors(file, lookup):
                writer.add(documents, vectors)
                listener.advance(len(documents))
                dropped += unknown
        if writer.n_docs == 0:
            raise LsrError(f"there is no vector in {', '.join(map(str, files))}")
        manifest = writer.commit()
    return manifest, [f"{dropped:,} weights of terms that the encoder doesn't know were dropped"] if dropped else []
