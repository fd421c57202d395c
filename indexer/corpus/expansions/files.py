"""Files of expansions: a record a document, as JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.integrity.parquet_limits import MOST_ROWS, UnpacksTooMuchError, plain_batches, text_columns
from lsr.io.text_files import numbered_lines, written_whole

ID_KEYS = ("id", "doc_id", "_id", "docid")
TEXT_KEYS = ("expansions", "queries", "predicted_queries", "query", "text")
SCORE_KEYS = ("scores", "score", "querygen_score")


class Expanded(NamedTuple):
    """The expansions of one document. scores: one each, None where the file has none."""

    doc_id: str
    texts: tuple[str, ...]
    scores: tuple[float, ...] | None


def expanded_rows(path: Path) -> Iterator[Expanded]:
    """Yield the rows of a file or a folder of expansions: JSON lines, `.gz` or not, or Parquet."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith((".parquet", ".jsonl", ".jsonl.gz")))
        if not files:
            raise LsrError(f"{path}: no expansions in this folder (.parquet, .jsonl): make some by 'lsr expand'")
        for file in files:
            yield from expanded_rows(file)
        return
    if not path.is_file():
        raise LsrError(f"{path}: no such file of expansions: check the spelling")
    is_parquet = path.suffix == ".parquet"
    if not is_parquet and not path.name.endswith((".jsonl", ".ndjson", ".jsonl.gz")):
        raise UsageError(f"{path}: expansions are read from .jsonl, .jsonl.gz, .parquet, and folders of these")
    for number, record in _parquet_rows(path) if is_parquet else _json_lines(path):
        yield _row(record, f"{path}, {'row' if is_parquet else 'line'} {number:,}")


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in numbered_lines(path):
        try:
            yield number, json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadDocumentError(f"{path}, line {number:,}: broken JSON ({error})") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        texts = text_columns(path, path.stat().st_size)
        with pq.ParquetFile(path, read_dictionary=texts.names) as file:
            known = (*ID_KEYS, *TEXT_KEYS, *SCORE_KEYS)
            columns = [name for name in file.schema_arrow.names if name in known]
            for batch in plain_batches(file.iter_batches(min(MOST_ROWS, texts.most_rows), columns=columns)):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except UnpacksTooMuchError as error:
        raise LsrError(f"{path}: {error}") from None
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise LsrError(f"{path}: not a readable Parquet file ({reason})") from error


def _row(record: Any, place: str) -> Expanded:
    if not isinstance(record, Mapping):
        raise BadDocumentError(f"{place}: {type(record).__name__}; an object with id and expansions was expected")
    doc_id = next((record[key] for key in ID_KEYS if key in record), None)
    texts = next((record[key] for key in TEXT_KEYS if key in record), None)
    scores = next((record[key] for key in SCORE_KEYS if key in record), None)
    if not isinstance(doc_id, str | int) or isinstance(doc_id, bool):
        raise BadDocumentError(f"{place}: the id is {doc_id!r:.60}; a text was expected under {' or '.join(ID_KEYS)}")
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadDocumentError(
            f"{place}: the expansions are {texts!r:.60}; texts were expected under {' or '.join(TEXT_KEYS)}"
        )
    if isinstance(scores, int | float) and not isinstance(scores, bool):
        scores = [scores]
    if scores is not None and (
        not isinstance(scores, list)
        or len(scores) != len(texts)
        or not all(isinstance(score, int | float) and np.isfinite(score) for score in scores)
    ):
        raise BadDocumentError(f"{place}: the scores are {scores!r:.60}; a number for each expansion was expected")
    return Expanded(str(doc_id), tuple(texts), None if scores is None else tuple(map(float, scores)))


def write_expansions(path: Path, rows: Iterable[Expanded]) -> int:
    """Write expansions to a file of JSON lines, compressed if its name ends so; return their number.

    The file appears whole, or not at all. Raises LsrError where it can't be written.
    """
    n_written = 0
    with written_whole(path) as file:
        for row in rows:
            scores = {} if row.scores is None else {"scores": [round(score, 6) for score in row.scores]}
            file.write(json.dumps({"id": row.doc_id, "expansions": row.texts, **scores}, ensure_ascii=False) + "\n")
            n_written += len(row.texts)
    return n_written
