"""JSON of a stranger that is nested too deep for its parser is an error of ours, wherever it is read."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr import handoff
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.errors import IndexLockedError, LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.indexer.transfer.vector_lines import read_vector_lines
from lsr.io.writer_lock import NAME, writer_lock

DEEP = "[" * 60_000


def vectors(path: Path) -> object:
    column = {"id": ["a"], "terms": [["x"]], "weights": [[1.0]], "fields": ['{"a": ' + DEEP]}
    pq.write_table(pa.table(column), path / "v.parquet")
    return list(read_vectors(path / "v.parquet", lambda term: 0))


def weights(path: Path) -> object:
    (path / "w.safetensors").write_bytes(len(DEEP).to_bytes(8, "little") + DEEP.encode())
    return Tensors(path / "w.safetensors")


def written(name: str, read: Callable[[Path], object]) -> Callable[[Path], object]:
    def work(path: Path) -> object:
        (path / name).write_text(DEEP)
        return read(path / name)

    return work


READERS: dict[str, Callable[[Path], object]] = {
    "vectors": vectors,
    "weights": weights,
    "settings of a model": written("config.json", read_json),
    "an export": written("handoff.json", lambda path: handoff.open(path.parent)),
    "a corpus": written("a.json", lambda path: list(read_corpus([path]))),
    "lines": written("a.jsonl", lambda path: list(read_corpus([path]))),
    "a notebook": written("a.ipynb", lambda path: list(read_corpus([path]))),
    "vectors in lines": written("a.jsonl", lambda path: list(read_vector_lines(path, len))),
}


@pytest.mark.parametrize("name", READERS)
def test_deep_json_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    with pytest.raises(LsrError):
        READERS[name](tmp_path)


def test_a_lock_whose_holder_writes_deep_json_is_held_by_another_process(tmp_path: Path) -> None:
    file = os.open(tmp_path / NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(file, DEEP[:4096].encode())
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(IndexLockedError, match="another process"), writer_lock(tmp_path):
            pass
    finally:
        os.close(file)


def test_an_export_that_is_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "handoff.json")
    with pytest.raises(LsrError, match="is a FIFO"):
        handoff.open(tmp_path)


def test_a_value_that_looks_like_deep_json_is_a_text(tmp_path: Path) -> None:
    from lsr.cli.changes.update import _parsed

    assert json.dumps(_parsed(f"field={DEEP}")[1]) == json.dumps(DEEP)
