"""Encoding a corpus into shards to be kept: Parquet files that `lsr index --vectors` and others read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder, JointEncoder
from lsr.errors import UsageError
from lsr.indexer.encode.columns import Columns, dense_columns, field_columns, sparse_columns, text_columns
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.resumable_job import EncodedCorpus, ShardJob, run_job
from lsr.indexer.encode.units import Workers
from lsr.indexer.encode.windows import MAX_DOCUMENTS
from lsr.io.folder import Folder
from lsr.io.progress import Progress
from lsr.types import Document


def encode_corpus(
    documents: Iterable[Document],
    encoder: Encoder | DenseEncoder | JointEncoder,
    folder: Path | Folder,
    *,
    window: int = MAX_DOCUMENTS,
    with_text: bool = True,
    passages: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> EncodedCorpus:
    """Encode documents into Parquet shards in `folder`, from where it was left if it was interrupted.

    The encoder may be sparse (columns `terms` and `weights`), dense (`vector`, float16), or joint: then a shard holds
    both. with_text: keep `title`, `text` and `fields` too. window, workers: as of `run_job`.
    passages: settings by which the documents were cut, which are recorded (default: they are whole).
    Raises UsageError for an encoder whose weights need the whole corpus, LsrError if the folder holds another job, or
    the documents aren't those that it was begun with.
    """
    described = None if workers is None else workers.description
    legs, job = job_of(encoder, with_text=with_text, passages=passages, described=described)
    return run_job(
        documents, job, folder, window=window, text_length=legs.text_length, progress=progress, workers=workers
    )


def job_of(
    encoder: Encoder | DenseEncoder | JointEncoder,
    *,
    with_text: bool,
    passages: Mapping[str, int] | None = None,
    described: Mapping[str, Any] | None = None,
) -> tuple[Legs, ShardJob]:
    """Return what encodes, and the job of encoding by it. Raises UsageError as `encode_corpus` does.

    described: the description of what encodes elsewhere (default: of the encoder here).
    """
    legs = Legs.of(encoder)
    if legs.sparse is not None and legs.sparse.corpus_weighting is not None:
        raise UsageError(
            f"encoder {legs.sparse.description['name']}: its weights depend on the whole corpus, so it has no vectors "
            "apart from an index: index the corpus instead"
        )

    def columns(batch: Sequence[Document]) -> Columns:
        return vector_columns(legs, batch, with_text=with_text)

    settings = {"with_text": with_text, "passages": None if passages is None else dict(passages)}
    return legs, ShardJob(legs.description if described is None else described, settings, columns)


def vector_columns(legs: Legs, batch: Sequence[Document], *, with_text: bool) -> Columns:
    """Encode documents, and return the columns of a shard of vectors."""
    vectors = legs.encode(batch)
    found: dict[str, Any] = {}
    if vectors.sparse is not None and legs.sparse is not None:
        found |= sparse_columns(vectors.sparse, legs.sparse.terms)
    if vectors.dense is not None:
        found |= dense_columns(vectors.dense, batch)
    return found | text_columns(batch) | field_columns(batch) if with_text else found
