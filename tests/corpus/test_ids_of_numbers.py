"""Ids of number columns: whole numbers lose their point by every reader, so that all of them agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.api.records import Names
from lsr.api.sources import Stream, read_sources
from lsr.errors import BadDocumentError
from lsr.eval.data.query_files import read_queries
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.indexer.transfer.ready_vectors import ReadyVectors

IDS = [1239.0, 7.0]
ROWS = [{"id": value, "text": f"text {number}"} for number, value in enumerate(IDS)]


def jsonl(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def of_table(sources: object) -> list[str]:
    stream = read_sources(sources, Names.of(None, None, None, None))
    assert isinstance(stream, Stream)
    return [document.doc_id for document in stream.documents]


def of_file(path: Path) -> list[str]:
    return [document.doc_id for document in read_corpus([path])]


def of_json(path: Path) -> list[str]:
    path.write_text(json.dumps(ROWS))
    return of_file(path)


def of_csv(path: Path) -> list[str]:
    pd.DataFrame(ROWS).to_csv(path, index=False)
    return of_file(path)


def of_parquet(path: Path) -> list[str]:
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return of_file(path)


def of_vectors(path: Path) -> list[str]:
    columns = {"id": IDS, "terms": [["a"], ["b"]], "weights": [[1.0], [1.0]]}
    pq.write_table(pa.table(columns), path)
    return [document.doc_id for documents, _, _ in read_vectors(path, ReadyVectors().term_id) for document in documents]


def of_queries(path: Path) -> list[str]:
    path.write_text("".join(json.dumps({"_id": row["id"], "text": row["text"]}) + "\n" for row in ROWS))
    return list(read_queries(path))


READERS: dict[str, Callable[[Path], list[str]]] = {
    "jsonl": lambda folder: of_file(jsonl(folder / "a.jsonl")),
    "json": lambda folder: of_json(folder / "a.json"),
    "csv": lambda folder: of_csv(folder / "a.csv"),
    "parquet": lambda folder: of_parquet(folder / "a.parquet"),
    "vectors": lambda folder: of_vectors(folder / "v.parquet"),
    "queries": lambda folder: of_queries(folder / "queries.jsonl"),
    "dicts": lambda _: of_table(ROWS),
    "pandas": lambda _: of_table(pd.DataFrame(ROWS)),
    "polars": lambda _: of_table(pl.DataFrame(ROWS)),
    "arrow": lambda _: of_table(pa.Table.from_pylist(ROWS)),
}


@pytest.mark.parametrize("reader", READERS)
def test_whole_numbers_are_ids_without_a_point(tmp_path: Path, reader: str) -> None:
    assert READERS[reader](tmp_path) == ["1239", "7"]


def test_an_id_that_is_no_number_is_refused_by_its_row(tmp_path: Path) -> None:
    columns = {"id": [1.0, float("nan")], "terms": [["a"], ["b"]], "weights": [[1.0], [1.0]]}
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(BadDocumentError, match="row 2: its id is nan"):
        list(read_vectors(tmp_path / "v.parquet", ReadyVectors().term_id))
