"""The dense leg by FAISS: kinds by size, kept safely, masked, and at peace with torch's threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("faiss")

from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.filters.filter import DocumentFilter
from lsr.query.hybrid import ann
from lsr.query.hybrid import ann_cache as ann_store
from lsr.query.hybrid import dense_search as union
from lsr.query.hybrid.ann import FLAT, HNSW, IVF_PQ, AnnParameters, build, choose_parameters, search
from lsr.query.hybrid.ann_cache import ann_of
from lsr.query.hybrid.settings import Hybrid
from lsr.query.searcher import Searcher
from lsr.types import Document

N_DOCS, DIMENSION = 3000, 32
KINDS = [AnnParameters(HNSW, links=16, breadth=80), AnnParameters(IVF_PQ, cells=16, codes=8)]


def vectors(n: int = N_DOCS, seed: int = 0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, DIMENSION))
    rows = centres[rng.integers(0, 40, n)] + 0.7 * rng.normal(size=(n, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Stored:
    """A dense encoder that knows each document's vector by its number."""

    dimension = DIMENSION
    description = {"kind": "dense", "name": "stored", "revision": "1", "settings": {"normalise": True}}  # noqa: RUF012

    def encode_dense_documents(self, documents: list[Document]) -> npt.NDArray[np.float32]:
        rows = vectors()
        return rows[[int(document.doc_id) for document in documents]]

    def encode_dense_queries(self, texts: list[str]) -> npt.NDArray[np.float32]:
        rows = vectors(50, seed=1)
        return rows[[int(text.split()[-1]) for text in texts]]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lsr.encoders.registry import load_encoder

    folder = tmp_path_factory.mktemp("ann") / "index"
    documents = [Document(str(i), f"text {i}") for i in range(N_DOCS)]
    index_documents(documents, folder, load_encoder("bm25"), dense=Stored())  # type: ignore[arg-type]
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ann"


def open_searcher(path: Path) -> Searcher:
    return Searcher(path, dense_encoder=Stored())  # type: ignore[arg-type]


def test_the_kind_goes_by_size() -> None:
    assert choose_parameters(50_000, 384) == AnnParameters(FLAT)
    assert choose_parameters(50_001, 384).kind == HNSW
    large = choose_parameters(8_800_000, 384)
    assert large.kind == IVF_PQ and 384 % large.codes == 0 and 10_000 < large.cells < 13_000
    assert choose_parameters(2_000_000, 7).codes == 1


@pytest.mark.parametrize("parameters", KINDS)
def test_most_of_the_nearest_are_found(parameters: AnnParameters) -> None:
    rows = vectors().astype(np.float16)
    index = build([rows[:1100], rows[1100:]], parameters)
    assert index.ntotal == N_DOCS
    found = 0
    for query in vectors(50, seed=1):
        best = np.argsort(-(rows.astype(np.float32) @ query))[:10]
        found += len(np.intersect1d(best, search(index, parameters, query, 10, None)))
    assert found > 450


@pytest.mark.parametrize("parameters", KINDS)
def test_only_allowed_rows_are_found(parameters: AnnParameters) -> None:
    index = build([vectors().astype(np.float16)], parameters)
    allowed = np.arange(N_DOCS) % 3 == 1
    for query in vectors(5, seed=1):
        found = search(index, parameters, query, 50, allowed)
        assert len(found) and allowed[found].all()
        assert len(search(index, parameters, query, 50, np.zeros(N_DOCS, bool))) == 0


@pytest.mark.parametrize("parameters", KINDS)
def test_a_union_by_it_is_nearly_the_exact_one(
    path: Path, parameters: AnnParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = open_searcher(path)
    near = open_searcher(path)
    hybrid, same = Hybrid(mode="union"), 0
    allowed = DocumentFilter.from_mask(near.index, np.arange(N_DOCS) % 2 == 0)
    for number in range(10):
        expected = [hit.doc_id for hit in exact.search(f"text {number}", k=10, hybrid=hybrid)]
        with monkeypatch.context() as patch:
            patch.setattr(union, "choose_parameters", lambda *_: parameters)
            patch.setattr(union, "FEW_ALLOWED", 0)
            explained = near.explain(f"text {number}", k=10, hybrid=hybrid)
            even = near.search(f"text {number}", k=10, hybrid=hybrid, where=allowed)
        same += len({found.hit.doc_id for found in explained.hits} & set(expected))
        assert f"dense {parameters.kind} (approximate)" in explained.engine.traversals
        assert all(int(hit.doc_id) % 2 == 0 for hit in even)
    assert same > 80


def test_it_is_kept_and_read_again(path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ann_of(StoredIndex.open(path), KINDS[0])
    (kept,) = cache.iterdir()
    assert cache.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(ann_store, "build", lambda *_: pytest.fail("it is there already"))
    again = ann_of(StoredIndex.open(path), KINDS[0])
    query = vectors(1, seed=1)[0]
    assert np.array_equal(search(made, KINDS[0], query, 20, None), search(again, KINDS[0], query, 20, None))
    assert kept.exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "header"])
def test_what_is_damaged_is_never_read(path: Path, cache: Path, damage: str) -> None:
    ann_of(StoredIndex.open(path), KINDS[0])
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    if damage == "changed":
        content[-1000] ^= 1
    if damage == "header":
        content[20] ^= 1
    kept.write_bytes(content[:2000] if damage == "cut" else b"" if damage == "empty" else content)
    assert ann_of(StoredIndex.open(path), KINDS[0]).ntotal == N_DOCS
    (again,) = cache.iterdir()
    assert len(again.read_bytes()) > 2000


def test_a_folder_that_others_can_write_is_not_used(path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert ann_of(StoredIndex.open(path), KINDS[0]).ntotal == N_DOCS
    assert not list(cache.iterdir())


def test_other_vectors_have_an_index_of_their_own(path: Path, tmp_path: Path, cache: Path) -> None:
    from lsr.indexer.update.add_dense import add_dense

    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(path, other, dirs_exist_ok=True)
    add_dense(other, Stored(), overwrite=True)  # type: ignore[arg-type]
    for folder in (path, other):
        ann_of(StoredIndex.open(folder), KINDS[0])
    assert len(list(cache.iterdir())) == 2


TOGETHER = """
import os, sys, threading
import numpy as np
if sys.argv[1] == "torch first":
    import torch
import faiss
import torch
from lsr.query.hybrid.ann import AnnParameters, build, search
torch.set_num_threads(2)
rows = np.random.default_rng(0).normal(size=(2000, 32)).astype(np.float16)
parameters = AnnParameters("hnsw", links=16, breadth=40)
index = build([rows], parameters, threads=2)
def work():
    for _ in range(20):
        torch.randn(200, 200) @ torch.randn(200, 200)
        assert len(search(index, parameters, rows[7].astype(np.float32), 10, None)) == 10
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
child = os.fork()
if child == 0:
    os._exit(0 if len(search(index, parameters, rows[7].astype(np.float32), 10, None)) == 10 else 1)
assert os.waitpid(child, 0)[1] == 0
print("fine")
"""


@pytest.mark.parametrize("order", ["torch first", "faiss first"])
def test_faiss_and_torch_share_a_process(order: str) -> None:
    pytest.importorskip("torch")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", TOGETHER, order], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "fine\n", done.stderr


def test_faiss_is_loaded_late() -> None:
    assert "faiss" not in vars(ann)
