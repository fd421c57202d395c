"""Queries that come encoded: lines of tokens, or Parquet."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.errors import LsrError
from lsr.indexer.storage.index import StoredIndex
from lsr.query.encoded_queries import read_encoded_queries


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, collections: Any) -> StoredIndex:
    found: StoredIndex = collections.write_index(
        tmp_path_factory.mktemp("encoded") / "index", [{"cat": 1.0, "dog": 2.0, "##s": 3.0}]
    )
    return found


def rows_of(index: StoredIndex, vectors: Any) -> list[dict[str, float]]:
    return [
        {index.vocabulary.term(int(i)): float(w) for i, w in zip(ids, weights, strict=True)} for ids, weights in vectors
    ]


@pytest.mark.parametrize("name", ["queries.tsv", "queries.tsv.gz"])
def test_a_token_weighs_as_much_as_it_is_repeated(index: StoredIndex, tmp_path: Path, name: str) -> None:
    text = "q1\tdog cat dog ##s\n\nq2\tzebra\r\n q3 \tcat\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    query_ids, vectors, unknown = read_encoded_queries(path, index)
    assert query_ids == ["q1", "q2", "q3"] and unknown == 1
    assert rows_of(index, vectors) == [{"cat": 1.0, "dog": 2.0, "##s": 1.0}, {}, {"cat": 1.0}]


def test_parquet_brings_weights(index: StoredIndex, tmp_path: Path) -> None:
    path = tmp_path / "queries.parquet"
    table = {"id": [1, 2], "terms": [["dog", "zebra", "cat"], ["cat"]], "weights": [[0.5, 1.0, 2.0], [0.0]]}
    pq.write_table(pa.table(table), path)
    query_ids, vectors, unknown = read_encoded_queries(path, index)
    assert (query_ids, unknown) == (["1", "2"], 1)
    assert rows_of(index, vectors) == [{"dog": 0.5, "cat": 2.0}, {}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q1 cat\n", "line 1: an encoded query is 'query_id TAB token token"),
        (b"q1\tcat\n\tdog\n", "line 2: an encoded query is"),
        (b"q1\tcat\nq2\t\xff\n", "line 2: not UTF-8"),
        (b"q1\tcat\nq1\tdog\n", "1 query ids are there twice, as 'q1'"),
        (b"\n\n", "no queries in the file"),
        (b"q1\t" + b"cat " * (1 << 20) + b"cat\n", "line 1: 1,048,577 tokens; the limit"),
    ],
)
def test_what_is_wrong_is_named(index: StoredIndex, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "queries.tsv"
    path.write_bytes(content)
    with pytest.raises(LsrError, match=message):
        read_encoded_queries(path, index)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tsv", None, "can't be read .No such file"),
        ("cut.tsv.gz", gzip.compress(b"q1\tcat\n" * 10_000)[:-30], "the gzip file is damaged after line"),
        ("no.tsv.gz", b"q1\tcat\n", "the gzip file is damaged"),
        ("no.parquet", b"q1\tcat\n", "not a readable Parquet file"),
    ],
)
def test_files_that_are_not_what_their_name_says(
    index: StoredIndex, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LsrError, match=message):
        read_encoded_queries(tmp_path / name, index)
