"""The way into an index: corpus → documents → vectors → writer, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lsr.encoders.base import Encoder
from lsr.errors import LsrError, UsageError
from lsr.indexer.encode.window import windows
from lsr.indexer.manifest import Manifest
from lsr.indexer.progress import Progress, Silence
from lsr.indexer.vectors import ReadyVectors, read_vectors, stored_scale
from lsr.indexer.writer import IndexWriter
from lsr.types import Document

COUNTED_AT_ONCE, ENCODED_AT_ONCE = 2048, 256
"""Documents in a batch: for words, whose counting is fast, and for models, so that progress shows every few seconds."""
SHOWN_BYTES = 1 << 18


def index_documents(
    documents: Iterable[Document],
    index: str | Path,
    encoder: Encoder,
    *,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Manifest:
    """Index a stream of documents. Raises what IndexWriter and the encoder raise; LsrError if there is none."""
    size = ENCODED_AT_ONCE if encoder.corpus_weighting is None else COUNTED_AT_ONCE
    with IndexWriter(
        Path(index), encoder, overwrite=overwrite, reorder=reorder, threads=threads, progress=progress
    ) as writer:
        for batch in windows(documents, max_documents=size):
            writer.add(batch, encoder.encode_documents(batch))
        if writer.n_docs == 0:
            raise LsrError("there is no document to index")
        return writer.commit()


def index_corpus(
    paths: Sequence[str | Path],
    index: str | Path,
    encoder: Encoder,
    *,
    skip_bad: bool = False,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Manifest, list[str]]:
    """Index folders and files; return the manifest, and lines that sum up what was read and skipped.

    The index itself is never read, wherever it stands. Raises what `read_corpus` and `index_documents` raise.
    """
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.indexer.corpus.report import CorpusReport
    from lsr.indexer.corpus.walk import total_bytes

    listener = progress or Silence()
    report = CorpusReport()
    sources, exclude = [Path(path) for path in paths], [Path(index)]

    def documents() -> Iterator[Document]:
        # Only now, so that a folder that can't be written to is refused before everything is read.
        listener.start("reading", total_bytes(sources, exclude=exclude), "B")
        shown = 0
        for document in read_corpus(sources, skip_bad=skip_bad, report=report, exclude=exclude):
            if report.bytes_done - shown > SHOWN_BYTES:
                listener.advance(report.bytes_done - shown)
                shown = report.bytes_done
            yield document
        listener.advance(report.bytes_done - shown)

    manifest = index_documents(
        documents(), index, encoder, overwrite=overwrite, reorder=reorder, threads=threads, progress=progress
    )
    return manifest, report.summary()


def index_vectors(
    files: Sequence[str | Path],
    index: str | Path,
    *,
    encoder: Encoder | None = None,
    overwrite: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Manifest, list[str]]:
    """Index ready vectors; return the manifest, and lines that sum up what was dropped.

    encoder: what queries will be encoded by; its vocabulary then decides the terms. Raises what `read_vectors`
    and IndexWriter raise; LsrError if there is no vector.
    """
    source: Encoder
    if encoder is None:
        source = ready = ReadyVectors()
        lookup, n_known = ready.term_id, None
    elif encoder.corpus_weighting is not None:
        name = encoder.description["name"]
        raise UsageError(f"{name} weighs words by statistics of the corpus, so ready vectors can't be of it")
    else:
        source, n_known = encoder, len(encoder.terms)
        lookup = {term: i for i, term in enumerate(encoder.terms)}.get  # type: ignore[assignment]
    listener = progress or Silence()
    dropped = 0
    # Vectors that came out of an index become the same impacts again.
    scale = stored_scale([Path(file) for file in files])
    with IndexWriter(
        Path(index), source, overwrite=overwrite, reorder=reorder, threads=threads, scale=scale, progress=progress
    ) as writer:
        listener.start("reading", None, "vector")
        for file in files:
            for documents, vectors, unknown in read_vectors(Path(file), lookup, n_known=n_known):
                writer.add(documents, vectors)
                listener.advance(len(documents))
                dropped += unknown
        if writer.n_docs == 0:
            raise LsrError(f"there is no vector in {', '.join(map(str, files))}")
        manifest = writer.commit()
    return manifest, [f"{dropped:,} weights of terms that the encoder doesn't know were dropped"] if dropped else []
