"""A BEIR dataset small enough to count by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DOCS = {
    "d1": "inverted index of posting lists",
    "d2": "posting lists are compressed",
    "d3": "neural encoders expand documents",
    "d4": "dense vectors of documents",
    "q2": "what do encoders expand",
}
QUERIES = {"q1": "posting lists", "q2": "what do encoders expand", "q3": "zebra", "q4": "nobody judged this"}
QRELS = [("q1", "d1", 2), ("q1", "d2", 1), ("q2", "d3", 1), ("q2", "gone", 1), ("q3", "d4", 1)]


def write_dataset(folder: Path, docs: dict[str, str]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": doc_id, "title": "", "text": text} for doc_id, text in docs.items()]
    queries = [{"_id": query_id, "text": text} for query_id, text in QUERIES.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in queries))
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in QRELS)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "tiny", DOCS)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "other", DOCS | {"d5": "lists of dense posting encoders"})


@pytest.fixture
def write_vectors() -> Callable[[Path, dict[str, dict[str, int]]], Path]:
    """Write rows of term → weight as a Parquet file of ready vectors."""

    def write(path: Path, rows: dict[str, dict[str, int]]) -> Path:
        columns = {
            "id": pa.array(list(rows)),
            "terms": pa.array([list(row) for row in rows.values()], pa.list_(pa.string())),
            "weights": pa.array([list(row.values()) for row in rows.values()], pa.list_(pa.uint8())),
        }
        pq.write_table(pa.table(columns), path)
        return path

    return write
