"""The folder beside an index, and other folders of shards: what a stranger put there leads nowhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.encode.matrix import MatrixWriter
from lsr.indexer.encode.resumable_job import kept_documents
from lsr.indexer.encode.resume import staging_folder
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
