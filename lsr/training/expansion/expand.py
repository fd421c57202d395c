"""Expansion of a corpus into a file or a folder of shards, resumed after an interruption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsr.errors import LsrError, UsageError
from lsr.indexer.corpus.expansions.files import Expanded, expanded_rows, write_expansions
from lsr.indexer.corpus.expansions.reading import kept_rows, least_score
from lsr.indexer.encode.columns import Columns
from lsr.indexer.encode.resumable_job import (
    OtherJobError,
    ShardJob,
    forget_job,
    run_job,
)
from lsr.indexer.encode.units import ChangedCorpusError
from lsr.io.progress import Progress
from lsr.training.expansion.generators import Generator
from lsr.training.teachers.base import Teacher
from lsr.types import Document

WINDOW = 64
"""Documents that are expanded together, and the most that an interruption loses."""
SHARD_SECONDS = 300.0
FILES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class ExpandedCorpus:
    """Outcome of an expansion. n_resumed: documents that an earlier run had expanded."""

    out: Path
    n_docs: int
    n_resumed: int
    n_expansions: int


def expand_corpus(
    documents: Iterable[Document],
    generator: Generator,
    out: Path,
    *,
    scorer: Teacher | None = None,
    keep: float = 1.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExpandedCorpus:
    """Expand documents into `out`: a file of JSON lines (FILES), or a folder of numbered Parquet shards.

    A run that was interrupted resumes; of a file, the shards are in `out`.partial until it is whole.
    scorer: gives each expansion a score for its document. keep: the share of all expansions that a file holds, those of
    the highest scores; a folder holds all, with their scores. overwrite: replace a file.
    Raises UsageError for options that don't fit, LsrError for what `run_job` refuses.
    """
    is_file = out.name.endswith(FILES)
    if keep != 1.0 and not is_file:
        raise UsageError(f"a folder holds all expansions with their scores: name a file ({' or '.join(FILES)}) to keep")
    if not 0 < keep <= 1:
        raise UsageError(f"the share of expansions to keep is {keep}, but has to be above 0 and at most 1")
    if is_file and out.exists() and not overwrite:
        raise LsrError(f"{out} exists already: --overwrite replaces it")

    def columns(batch: Sequence[Document]) -> Columns:
        rows = generator.generate(batch)
        return _columns(rows if scorer is None else scored(rows, batch, scorer))

    settings = {"scorer": None if scorer is None else scorer.name}
    job = ShardJob({"query_side": "", **generator.description}, settings, columns)
    folder = out.with_name(f"{out.name}.partial") if is_file else out
    try:
        made = run_job(
            documents, job, folder, window=WINDOW, text_length=generator.text_length, shard_seconds=SHARD_SECONDS,
            progress=progress, stage="expanding",
        )  # fmt: skip
    except OtherJobError as error:
        raise LsrError(
            f"{folder} holds expansions of another model or other settings: give the same again, or remove it"
        ) from error
    except ChangedCorpusError as error:
        raise LsrError(f"{folder} holds expansions of other documents: give the same again, or remove it") from error
    if made.n_docs == 0:
        forget_job(folder)
        raise LsrError("there is no document to expand")
    rows = list(expanded_rows(folder))
    if not is_file:
        return ExpandedCorpus(out, made.n_docs, made.n_resumed, sum(len(row.texts) for row in rows))
    n_written = write_expansions(out, kept_rows(rows, least_score(rows, keep, folder)))
    forget_job(folder)
    return ExpandedCorpus(out, made.n_docs, made.n_resumed, n_written)


def scored(rows: Sequence[Expanded], documents: Sequence[Document], scorer: Teacher) -> list[Expanded]:
    """Return expansions with the scores of a teacher, each for its own document."""
    queries = [text for row in rows for text in row.texts]
    owners = np.repeat(np.arange(len(rows)), [len(row.texts) for row in rows])
    if not queries:
        return [Expanded(row.doc_id, row.texts, ()) for row in rows]
    wanted = owners[:, None] == np.arange(len(documents))[None, :]
    scores = scorer.scores(queries, documents, wanted)[np.arange(len(queries)), owners]
    return [Expanded(row.doc_id, row.texts, tuple(scores[owners == i].tolist())) for i, row in enumerate(rows)]


def _columns(rows: Sequence[Expanded]) -> dict[str, Any]:
    import pyarrow as pa

    texts = [[text.encode("utf-8", "replace").decode() for text in row.texts] for row in rows]
    scores = [None if row.scores is None else list(row.scores) for row in rows]
    return {
        "expansions": pa.array(texts, pa.list_(pa.string())),
        "scores": pa.array(scores, pa.list_(pa.float64())),
    }
