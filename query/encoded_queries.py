"""Queries that come encoded: Parquet (`id`, `terms` or `term_ids`, `weights`), or Anserini's token lines."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lsr.errors import LsrError
from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.types import SparseBatch

MAX_TOKENS = 1 << 20
"""Tokens of one query; a line of more is no query."""


def is_parquet(path: Path) -> bool:
    """Say whether the name is that of a Parquet file, whose queries are always encoded."""
    return path.suffix == ".parquet"


def read_encoded_queries(path: Path, index: StoredIndex) -> tuple[list[str], SparseBatch, int]:
    """Return the query ids, the queries, and how many of their terms the index doesn't have.

    A line of text is `query_id TAB token token …`, a token's repetition being its weight. Raises LsrError
    for a file that is neither, for an id that comes twice, and where there is no query.
    """
    query_ids, queries, unknown = _from_parquet(path, index) if is_parquet(path) else _from_lines(path, index)
    if not query_ids:
        raise LsrError(f"{path}: no queries in the file")
    repeated = [query_id for query_id, count in Counter(query_ids).items() if count > 1]
    if repeated:
        raise LsrError(
            f"{path}: {len(repeated)} query ids are there twice, as {repeated[0]!r}; give each query its own"
        )
    return query_ids, queries, unknown


def _from_parquet(path: Path, index: StoredIndex) -> tuple[list[str], SparseBatch, int]:
    ids: list[str] = []
    batches, unknown = [], 0
    for documents, vectors, dropped in read_vectors(path, index.vocabulary.lookup):
        ids += [document.doc_id for document in documents]
        batches.append(vectors)
        unknown += dropped
    return ids, SparseBatch.concatenate(batches), unknown


def _from_lines(path: Path, index: StoredIndex) -> tuple[list[str], SparseBatch, int]:
    ids, rows, unknown = [], [], 0
    known: dict[str, int | None] = {}
    for number, line in _lines(path):
        query_id, tab, tokens = line.partition("\t")
        if not tab or not query_id.strip():
            raise LsrError(f"{path}, line {number}: an encoded query is 'query_id TAB token token …'")
        counts = Counter(tokens.split())
        if counts.total() > MAX_TOKENS:
            raise LsrError(f"{path}, line {number}: {counts.total():,} tokens; the limit for a query is {MAX_TOKENS:,}")
        row: dict[int, float] = {}
        for token, weight in counts.items():
            if token not in known:
                known[token] = index.vocabulary.lookup(token)
            term_id = known[token]
            if term_id is None:
                unknown += 1
            else:
                row[term_id] = weight
        ids.append(query_id.strip())
        rows.append(row)
    return ids, SparseBatch.from_rows(rows, len(index.vocabulary)), unknown


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of a text, `.gz` or plain; blank lines are skipped."""
    number = 0
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_DOCUMENT_BYTES + 1), b""), start=1):
                if len(line) > MAX_DOCUMENT_BYTES:
                    raise LsrError(f"{path}, line {number:,}: over {MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise LsrError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LsrError(f"{path}: the gzip file is damaged after line {number} ({error})") from error
    except OSError as error:
        raise LsrError(f"{path}: can't be read ({error.strerror or error})") from error
