"""An index of the same documents has the same bytes, in each run; what can't be promised is recorded."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.encoders.runtime import INTEGER_KERNELS, Runtime, joined_runtimes
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.pipeline import index_corpus, index_documents
from lsr.indexer.update.update import add_documents
from lsr.types import Document

WORDS = "bee hive queen honey bread dough yeast oven chess pawn bishop rook tide moon".split()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of short texts, and long ones that are read in passages."""
    folder = tmp_path / "notes"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(24):
        words = rng.choice(WORDS, 400 if number % 11 == 5 else rng.integers(0, 20))
        (folder / f"note-{number:02}.txt").write_text(" ".join(words))
    return folder


@pytest.fixture
def integers() -> Any:
    """The bundled model on the integer kernels."""
    return load_encoder("default", dtype="int8")


PART = re.compile(rb"(\d{8})-[0-9a-f]{8}-")
OF_A_RUN = re.compile(rb'"(created|crc32)": ["0-9][^,]*,(?=\n "[a-z])')


def files_of(index: Path) -> dict[str, bytes]:
    """Return the files, without what tells two runs apart: the time, and a random number in the names of parts."""
    found = {}
    for path in sorted(index.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name.startswith("manifest"):
                content = OF_A_RUN.sub(b"", PART.sub(rb"\1-", content))
            found[PART.sub(rb"\1-", str(path.relative_to(index)).encode()).decode()] = content
    return found


def test_two_runs_give_equal_files(corpus: Path, integers: Any, tmp_path: Path) -> None:
    """With dense vectors, and with another number of threads; the second run by an encoder that was used before."""
    for name, threads in (("one", 1), ("two", 3)):
        encoder = integers.begin_again()
        index_corpus([corpus], tmp_path / name, encoder, dense=encoder, threads=threads)
    assert len(files_of(tmp_path / "one")) > 5
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_windows_that_are_cut_elsewhere_change_no_bit(
    corpus: Path, integers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_corpus([corpus], tmp_path / "one", integers.begin_again())
    for name in ("lsr.indexer.encode.resume.MAX_DOCUMENTS", "lsr.indexer.encode.resumable_job.SHARD_DOCUMENTS"):
        monkeypatch.setattr(name, 3)
    index_corpus([corpus], tmp_path / "two", integers.begin_again())
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_an_interrupted_run_gives_the_files_of_a_whole_one(
    corpus: Path, integers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_corpus([corpus], tmp_path / "one", integers.begin_again())
    monkeypatch.setattr("lsr.indexer.encode.resume.MAX_DOCUMENTS", 5)
    encode = Legs.encode

    def stopping(legs: Legs, documents: Any) -> Any:
        if any(document.doc_id == "note-17.txt" for document in documents):
            raise KeyboardInterrupt
        return encode(legs, documents)

    with monkeypatch.context() as patch:
        patch.setattr(Legs, "encode", stopping)
        with pytest.raises(KeyboardInterrupt):
            index_corpus([corpus], tmp_path / "two", integers.begin_again())
    assert (tmp_path / "two.partial").is_dir()
    index_corpus([corpus], tmp_path / "two", integers.begin_again())
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_vectors_do_not_depend_on_order_or_batch(integers: Any) -> None:
    """Alone, shuffled, and in odd batches: each document keeps its bits."""
    rng = np.random.default_rng(5)
    documents = [Document(str(i), " ".join(rng.choice(WORDS, rng.integers(0, 60)))) for i in range(40)]
    model = integers.model

    def rows(batches: list[list[Document]]) -> dict[str, tuple[bytes, bytes, bytes]]:
        found = {}
        for batch in batches:
            sparse, dense = model.encode_documents_jointly(batch)
            for document, (terms, weights), vector in zip(batch, sparse, dense, strict=True):
                found[document.doc_id] = (terms.tobytes(), weights.tobytes(), vector.tobytes())
        return found

    alone = rows([[document] for document in documents])
    shuffled = [documents[i] for i in rng.permutation(len(documents))]
    assert rows([shuffled]) == alone
    cuts = [0, *sorted(rng.choice(np.arange(1, 40), 7, replace=False).tolist()), 40]
    assert rows([shuffled[a:b] for a, b in pairwise(cuts)]) == alone


class InFloats:
    """An encoder that says that it runs in torch."""

    corpus_weighting = None
    terms = ("a", "b")

    def __init__(self, runtime: Runtime | None) -> None:
        self.description = {"kind": "some", "name": "some", "revision": "1", "settings": {}, "query_side": "none"}
        self.runtime = runtime

    def encode_documents(self, documents: Any) -> Any:
        from lsr.types import SparseBatch

        return SparseBatch.from_rows([{0: 1.5} for _ in documents], 2)

    def save_query_side(self, folder: Path) -> None:
        pass


BFLOAT16 = Runtime("torch 2.0", "cuda", "bfloat16", same_bits=False)


def test_the_manifest_says_what_computed_and_whether_bits_are_the_same(tmp_path: Path, integers: Any) -> None:
    documents = [Document("1", "bread"), Document("2", "honey")]
    manifest = index_documents(documents, tmp_path / "int8", integers, dense=integers)
    expected = {"library": "lsr kernels", "device": "cpu", "dtype": "int8", "same_bits": True}
    assert manifest.dense is not None
    assert manifest.encoder["runtime"] == manifest.dense["runtime"] == expected
    encoder: Any = InFloats(BFLOAT16)
    manifest = index_documents(documents, tmp_path / "floats", encoder)
    assert manifest.encoder["runtime"]["same_bits"] is False
    assert manifest.encoder["runtime"]["device"] == "cuda"
    words = index_documents(documents, tmp_path / "words", load_encoder("bm25"))
    assert "runtime" not in words.encoder


def test_documents_that_join_from_another_runtime_end_the_promise() -> None:
    before = {
        "name": "some",
        "runtime": {"library": "lsr kernels", "device": "cpu", "dtype": "int8", "same_bits": True},
    }
    same: Any = InFloats(INTEGER_KERNELS)
    other: Any = InFloats(BFLOAT16)
    assert joined_runtimes(before, same) == before
    assert joined_runtimes(before, InFloats(None)) == before
    assert joined_runtimes({"name": "some"}, other) == {"name": "some"}
    joined = joined_runtimes(before, other)
    assert joined["runtime"] == {
        "library": "lsr kernels + torch 2.0", "device": "cpu + cuda", "dtype": "int8 + bfloat16", "same_bits": False,
    }  # fmt: skip
    assert joined_runtimes(joined, other)["runtime"] == joined["runtime"]


def test_documents_are_added_by_the_integers_that_encoded_the_first(tmp_path: Path, integers: Any) -> None:
    documents = [Document(str(i), f"{word} and bread") for i, word in enumerate(WORDS)]
    index_documents(documents[:9], tmp_path / "grown", integers)
    changes = add_documents(documents[9:], tmp_path / "grown", merge=False)
    assert changes.manifest.encoder["runtime"]["dtype"] == "int8"
    assert changes.manifest.encoder["runtime"]["same_bits"] is True


def test_an_evaluation_keeps_indexes_of_each_runtime_apart(tmp_path: Path) -> None:
    from lsr.eval.systems import encoder_system

    class Corpus:
        name = "toy"
        corpus_path = tmp_path / "corpus.jsonl"

    Corpus.corpus_path.write_text("{}")
    names = set()
    for runtime in (BFLOAT16, INTEGER_KERNELS):
        described = encoder_system.with_runtime(InFloats(runtime).description, InFloats(runtime))
        names.add(encoder_system._cache_name(Corpus, "some", described))  # type: ignore[arg-type]
    assert len(names) == 2
