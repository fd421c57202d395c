"""Test collections as Parquet tables, in NanoBEIR's two layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.errors import LsrError
from lsr.eval.data.datasets import dataset_folders, load_dataset

TABLES: dict[str, dict[str, list[Any]]] = {
    "corpus": {"_id": ["d1", "d2"], "text": ["cats purr", "dogs bark"]},
    "queries": {"_id": ["q1"], "text": ["a cat"]},
    "qrels": {"query-id": ["q1"], "corpus-id": ["d1"]},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))


def save(folder: Path, split: str, *, left_out: str = "") -> Path:
    for part, columns in TABLES.items():
        if part != left_out:
            (folder / part).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / part / f"{split}-00000-of-00001.parquet")
    return folder


def test_a_folder_of_one_collection(tmp_path: Path) -> None:
    ((name, beir),) = dataset_folders(save(tmp_path / "NanoCats", "train"))
    dataset = load_dataset(beir, name=name)
    assert name == "NanoCats" and dataset.queries == {"q1": "a cat"} and dataset.qrels == {"q1": {"d1": 1}}
    assert [document.text for document in dataset.documents()] == ["cats purr", "dogs bark"]
    assert dataset_folders(tmp_path / "NanoCats") == [(name, beir)]
    assert dataset_folders(tmp_path) == [(name, beir)]


def test_a_folder_whose_splits_are_collections(tmp_path: Path) -> None:
    folder = tmp_path / "NanoBEIR"
    for split in ("NanoCats", "NanoDogs"):
        save(folder, split)
    assert [name for name, _ in dataset_folders(folder)] == ["NanoCats", "NanoDogs"]


def test_a_collection_that_lacks_a_part_or_a_column(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="qrels: no Parquet file"):
        dataset_folders(save(tmp_path / "NanoCats", "train", left_out="qrels"))
    folder = save(tmp_path / "other", "train")
    pq.write_table(pa.table({"name": ["q1"]}), folder / "queries" / "train-00000-of-00001.parquet")
    with pytest.raises(LsrError, match="a row has none of the columns _id"):
        dataset_folders(folder)
