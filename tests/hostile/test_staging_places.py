"""The folder beside an index, and other folders of shards: what a stranger put there leads nowhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.encode.matrix import MatrixWriter
from lsr.indexer.encode.resumable_job import kept_documents
from lsr.indexer.encode.resume import Staging, staging_folder
from lsr.indexer.encode.windows import MAX_DOCUMENTS
from lsr.indexer.pipeline import index_documents
from lsr.indexer.update.add_dense import add_dense
from lsr.types import Document

TRAPS = (
    "link to the original", "link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device",
    "hard link",
)  # fmt: skip
LARGE = pytest.mark.large
PLACES = ("", "writer.lock", "encode.json", "encode.tmp", "shard-000000.parquet", "shard-000000.tmp")


class Lengths:
    """A dense encoder without a model."""

    dimension = 2
    description: Mapping[str, Any] = {"kind": "dense", "name": "lengths", "revision": "1", "settings": {}}

    def __init__(self, *, interrupted_at: str | None = None) -> None:
        self._interrupted_at = interrupted_at

    def encode_dense_documents(self, documents: Sequence[Document]) -> Any:
        if any(document.doc_id == self._interrupted_at for document in documents):
            raise KeyboardInterrupt
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text) / 8, 1] for text in texts], np.float32).reshape(-1, 2)


DOCUMENTS = [Document(f"d{i}", f"number{i} common", "", {"year": 2000}) for i in range(MAX_DOCUMENTS + 40)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an index with an interrupted addition of dense vectors beside it."""
    from lsr.encoders.registry import load_encoder

    path = tmp_path_factory.mktemp("begun") / "work" / ".lsr"
    index_documents(DOCUMENTS, path, load_encoder("bm25"))
    with pytest.raises(KeyboardInterrupt):
        add_dense(path, Lengths(interrupted_at=DOCUMENTS[-5].doc_id))  # type: ignore[arg-type]
    assert kept_documents(staging_folder(path)) == MAX_DOCUMENTS
    return path


@pytest.mark.parametrize(
    ("trap", "place", "fresh"),
    [
        pytest.param(*case, marks=[LARGE] if number % 5 else [])
        for number, case in enumerate(product(TRAPS, PLACES, [False, True]))
    ],
)
def test_an_interrupted_encoding_stays_in_its_folder(
    hostile: Any, begun: Path, tmp_path: Path, trap: str, place: str, fresh: bool
) -> None:
    path = Path(shutil.copytree(begun.parent, tmp_path / "work")) / ".lsr"
    staging = staging_folder(path)
    if fresh:
        shutil.rmtree(staging)
    hostile.lay(trap, staging / place, hostile.outside)
    refused = hostile.refused(lambda: add_dense(path, Lengths()))  # type: ignore[arg-type]
    hostile.outside.check()
    unlike_ours = place == ("shard-000000.parquet" if fresh else "encode.json") and (fresh or trap != "hard link")
    assert refused == (place in ("", "writer.lock") or unlike_ours)
    hostile.read_all(path)
    hostile.refused(lambda: hostile.changes["index"](path))
    hostile.outside.check()
    hostile.check_all(path)


@pytest.mark.parametrize(("trap", "place"), list(product(TRAPS, PLACES[1:])))
def test_a_folder_of_shards_that_a_caller_names_is_no_way_out(
    hostile: Any, tmp_path: Path, trap: str, place: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")  # which the caller may
    hostile.lay(trap, tmp_path / "out" / place, hostile.outside)
    refused = hostile.refused(lambda: encode_corpus(DOCUMENTS, Lengths(), tmp_path / "out"))  # type: ignore[arg-type]
    hostile.outside.check()
    assert refused == (place in ("writer.lock", "shard-000000.parquet") or (trap, place) == ("hard link", PLACES[2]))


def _without(column: str, table: pa.Table) -> pa.Table:
    return table.drop_columns([column])


def _with(column: str, values: Any, table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, column, [pa.array([values(row) for row in range(len(table))])])


FORGED: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no vectors": lambda table: _without("vector", table),
    "vectors of other lengths": lambda table: _with("vector", lambda row: [1.0] * (1 + row % 3), table),
    "vectors of another dimension": lambda table: _with("vector", lambda row: [1.0] * 3, table),
    "texts as vectors": lambda table: _with("vector", lambda row: ["x", "y"], table),
    "a number as a vector": lambda table: _with("vector", float, table),
    "nothing as a vector": lambda table: _with("vector", lambda row: None, table),
    "no rows": lambda table: table.slice(0, 0),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_shard_is_an_error(hostile: Any, begun: Path, tmp_path: Path, name: str) -> None:
    path = Path(shutil.copytree(begun.parent, tmp_path / "work")) / ".lsr"
    shard = staging_folder(path) / "shard-000000.parquet"
    table = pq.read_table(shard)
    pq.write_table(FORGED[name](table).replace_schema_metadata(table.schema.metadata), shard)
    hostile.refused(lambda: add_dense(path, Lengths()))  # type: ignore[arg-type]
    hostile.read_all(path)
    hostile.check_all(path)


def staging_reads(path: Path, shard: pa.Table) -> int:
    """Read documents and vectors back as an interrupted `lsr index` does; return how many."""
    sparse: Any = SimpleNamespace(terms=["t", "u"], description={})
    staging = Staging(path, Legs(sparse), settings={})
    staging.folder.mkdir()
    pq.write_table(shard, staging.folder / "shard-000000.parquet")
    return sum(len(documents) for documents, _, _ in staging.read(staging.folder / "shard-000000.parquet"))


TEXTS: dict[str, Any] = {
    "fields that are no JSON": {"fields": lambda row: "{" * 2000},
    "fields that are no object": {"fields": lambda row: "[1]"},
    "numbers as texts": {"text": int},
    "no texts": {"text": lambda row: None},
    "terms beyond the vocabulary": {"term_ids": lambda row: [1 << 30], "weights": lambda row: [1.0]},
    "terms below 0": {"term_ids": lambda row: [-5], "weights": lambda row: [1.0]},
    "terms without weights": {"term_ids": lambda row: [1, 2], "weights": lambda row: [1.0]},
    "weights that are none": {"term_ids": lambda row: [1], "weights": lambda row: [float("nan")]},
    "texts as weights": {"weights": lambda row: ["x"]},
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_forged_shard_of_documents_is_an_error(hostile: Any, tmp_path: Path, name: str) -> None:
    table = {
        "id": ["a", "b"], "title": ["", ""], "text": ["x", "y"], "fields": [None, None],
        "term_ids": [[0], [1]], "weights": [[1.0], [2.0]],
    }  # fmt: skip
    forged = pa.table(table)
    assert staging_reads(tmp_path / "sound", forged) == 2
    for column, values in TEXTS[name].items():
        forged = _with(column, values, forged)
    assert hostile.refused(lambda: staging_reads(tmp_path / "forged", forged))


def test_only_temporary_files_of_its_own_are_removed(tmp_path: Path) -> None:
    for name in ("notes.tmp", "shard-1.tmp", "shard-000000.tmp", "encode.tmp"):
        (tmp_path / name).write_text("mine")
    encode_corpus(DOCUMENTS, Lengths(), tmp_path)  # type: ignore[arg-type]
    assert set(os.listdir(tmp_path)) == {
        "notes.tmp", "shard-1.tmp", "writer.lock", "encode.json", "shard-000000.parquet",
    }  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_a_matrix_is_written_through_nothing(hostile: Any, tmp_path: Path, trap: str) -> None:
    hostile.lay(trap, tmp_path / "m.npy.tmp", hostile.outside)
    with hostile.guarded(), MatrixWriter(tmp_path / "m.npy", 2) as writer:
        writer.append(np.ones((3, 2)))
    hostile.outside.check()
    assert np.load(tmp_path / "m.npy").shape == (3, 2)
