"""Queries that come encoded: Parquet (`id`, `terms` or `term_ids`, `weights`), or Anserini's token lines."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

from lsr.errors import LsrError
from lsr.indexer.index import Index
from lsr.indexer.vectors import read_vectors
from lsr.types import SparseBatch


def is_parquet(path: Path) -> bool:
    """Say whether the name is that of a Parquet file, whose queries are always encoded."""
    return path.suffix == ".parquet"


def read_encoded_queries(path: Path, index: Index) -> tuple[list[str], SparseBatch, int]:
    """Return the query ids, the queries, and how many of their terms the index doesn't have.

    A line of text is `query_id TAB token token …`, a token's repetition being its weight. Raises LsrError
    for a file that is neither.
    """
    vocabulary = index.vocabulary
    if is_parquet(path):
        ids, batches, unknown = [], [], 0
        for documents, vectors, dropped in read_vectors(path, vocabulary.lookup):
            ids += [document.doc_id for document in documents]
            batches.append(vectors)
            unknown += dropped
        return ids, SparseBatch.concatenate(batches), unknown
    ids, rows, unknown = [], [], 0
    known: dict[str, int | None] = {}
    try:
        opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
        with opened as lines:
            for number, line in enumerate(lines, start=1):
                query_id, tab, tokens = line.rstrip("\n").partition("\t")
                if not tab:
                    raise LsrError(f"{path}, line {number}: no tab; encoded queries are 'query_id TAB token token …'")
                row: dict[int, float] = {}
                for token, weight in Counter(tokens.split()).items():
                    if token not in known:
                        known[token] = vocabulary.lookup(token)
                    term_id = known[token]
                    if term_id is None:
                        unknown += 1
                    else:
                        row[term_id] = weight
                ids.append(query_id)
                rows.append(row)
    except (OSError, UnicodeDecodeError) as error:
        raise LsrError(f"{path}: can't be read ({error})") from error
    return ids, SparseBatch.from_rows(rows, len(vocabulary)), unknown
