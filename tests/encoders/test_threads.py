"""The number of threads that encoding takes: as many as `--threads` says, in torch as in the integer kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.cli.main import main
from lsr.encoders.compiled import model
from lsr.encoders.network.text_model import TextTower
from lsr.encoders.registry import load_encoder
from lsr.encoders.threads import TOKENIZER_THREADS, encoding_threads, limited_threads, limited_torch
from lsr.indexer.pipeline import index_documents
from lsr.indexer.update.add_dense import add_dense
from lsr.indexer.update.update import add_documents
from lsr.io.cores import available_cores
from lsr.types import Document

DOCUMENTS = [Document(str(i), "bread and honey " * (i % 50)) for i in range(120)]


@pytest.fixture
def of_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note how many threads torch has in each batch; it has 3 outside."""
    seen: list[int] = []
    padded = TextTower.padded

    def noting(self: Any, tokens: Any) -> Any:
        seen.append(torch.get_num_threads())
        return padded(self, tokens)

    monkeypatch.setattr(TextTower, "padded", noting)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield seen
    torch.set_num_threads(before)


def test_a_limit_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKENIZER_THREADS, raising=False)
    assert encoding_threads() == available_cores()
    with limited_threads(3):
        assert (encoding_threads(), os.environ[TOKENIZER_THREADS]) == (3, "3")
        with limited_threads(None):
            assert encoding_threads() == available_cores()
        assert encoding_threads() == 3
    assert encoding_threads() == available_cores() and TOKENIZER_THREADS not in os.environ


def test_what_the_environment_says_of_tokenizers_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKENIZER_THREADS, "5")
    with limited_threads(1):
        assert os.environ[TOKENIZER_THREADS] == "5"
    assert os.environ[TOKENIZER_THREADS] == "5"


@pytest.mark.usefixtures("of_torch")
def test_torch_gets_fewer_threads_meanwhile_and_never_more() -> None:
    for limit, expected in ((1, 1), (2, 2), (8, 3), (None, 3)):
        with limited_threads(limit), limited_torch():
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3


def test_indexing_and_adding_hold_torch_to_the_threads(symmetric_folder: Path, tmp_path: Path, of_torch: Any) -> None:
    encoder = load_encoder(symmetric_folder)
    index_documents(DOCUMENTS[:3], tmp_path / "index", encoder, threads=1)
    assert set(of_torch) == {1}
    add_documents(DOCUMENTS[3:6], tmp_path / "index", encoder=encoder, threads=2)
    assert set(of_torch) == {1, 2} and torch.get_num_threads() == 3


def test_encode_holds_torch_to_the_threads(symmetric_folder: Path, tmp_path: Path, of_torch: Any) -> None:
    (tmp_path / "a.txt").write_text("the cat sat")
    command = ["encode", str(tmp_path / "a.txt"), "--encoder", str(symmetric_folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--threads", "2"]) == 0
    assert set(of_torch) == {2}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_integer_kernels_take_as_many_threads(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[int] = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, n: int) -> None:
            pools.append(n)
            super().__init__(n)

    monkeypatch.setattr(model, "ThreadPoolExecutor", Pool)
    index_documents(DOCUMENTS, tmp_path / "index", load_encoder("default", dtype="int8"), threads=threads)
    assert max(pools, default=1) == threads


def test_dense_vectors_of_an_existing_index_take_as_many_threads_as_are_given(tmp_path: Path) -> None:
    seen: list[int] = []

    class Letters:
        dimension = 2
        description: Mapping[str, Any] = {"kind": "dense", "name": "letters", "revision": "1", "settings": {}}

        def encode_dense_documents(self, documents: Any) -> Any:
            seen.append(encoding_threads())
            return np.ones((len(documents), 2), np.float32)

        encode_dense_queries = encode_dense_documents

    index_documents(DOCUMENTS, tmp_path, load_encoder("bm25"))
    encoder: Any = Letters()
    add_dense(tmp_path, encoder, threads=1)
    assert set(seen) == {1}
