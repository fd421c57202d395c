"""Dense vectors beside the segments: a row a document, checked when they are written, opened and verified."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, IndexDamagedError, IndexExistsError, IndexMissingError, LsrError, UsageError
from lsr.indexer.encode.resumable_job import kept_documents
from lsr.indexer.encode.resume import staging_folder
from lsr.indexer.pipeline import index_corpus, index_documents
from lsr.indexer.storage.files import checksum
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import read_manifest, write_manifest
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.add_dense import add_dense
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.query_encoders import QueryEncoders
from lsr.types import Document


class Letters:
    """A dense encoder without a model: how often each of a few letters stands in a text."""

    dimension = 4
    description: Mapping[str, Any] = {"kind": "dense", "name": "letters", "revision": "1", "settings": {}}

    def __init__(self, *, broken_at: str | None = None, interrupted_at: str | None = None) -> None:
        self.seen: list[str] = []
        self._broken_at = broken_at
        self._interrupted_at = interrupted_at

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        rows = self.encode_dense_queries([document.full_text for document in documents])
        for row, document in enumerate(documents):
            if document.doc_id == self._interrupted_at:
                raise KeyboardInterrupt
            if document.doc_id == self._broken_at:
                rows[row, 1] = np.nan
        self.seen += [document.doc_id for document in documents]
        return rows

    def encode_dense_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.array([[text.count(letter) / 8 for letter in "tex1"] for text in texts], np.float32).reshape(-1, 4)


DOCUMENTS = [Document(f"d{i}", "text " * (i % 3) + str(i), "title" if i % 2 else "") for i in range(700)]
OF_300 = SegmentLimits(n_docs=300)


def rows(path: Path) -> npt.NDArray[np.float16]:
    with StoredIndex.open(path) as index:
        assert index.dense is not None
        return np.concatenate(index.dense.matrices)


def test_rows_stand_in_the_order_of_insertion(tmp_path: Path) -> None:
    index_documents(DOCUMENTS, tmp_path, load_encoder("bm25"), dense=Letters(), limits=OF_300)
    with StoredIndex.open(tmp_path) as index:
        assert [segment.n_docs for segment in index.segments] == [300, 300, 100]
        for number, segment in enumerate(index.segments):
            assert segment.dense is not None and segment.dense.dtype == np.float16 and not segment.dense.flags.writeable
            for row in (0, 57, segment.n_docs - 1):
                expected = Letters().encode_dense_documents([DOCUMENTS[300 * number + row]])[0]
                assert segment.document(row).doc_id == f"d{300 * number + row}"
                assert np.array_equal(segment.dense[row], expected.astype(np.float16))
        assert index.dense is not None and index.dense.dimension == 4
        assert index.dense.description == {**Letters.description, "dimension": 4}
    assert verify(tmp_path)[1] == []


def test_adding_them_later_is_the_same_in_a_new_generation(tmp_path: Path) -> None:
    index_documents(DOCUMENTS, tmp_path / "at once", load_encoder("bm25"), dense=Letters(), limits=OF_300)
    index_documents(DOCUMENTS, tmp_path / "later", load_encoder("bm25"), limits=OF_300)
    before = read_manifest(tmp_path / "later", 1)
    manifest = add_dense(tmp_path / "later", Letters())
    assert manifest.generation == 2
    assert np.array_equal(rows(tmp_path / "later"), rows(tmp_path / "at once"))
    assert [replace(segment, dense=None) for segment in manifest.segments] == list(before.segments)
    assert verify(tmp_path / "later")[1] == []
    assert not (tmp_path / "later" / "manifest-00000001.json").exists()
    assert not staging_folder(tmp_path / "later").exists()


def test_they_are_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    index_documents(DOCUMENTS, tmp_path, load_encoder("bm25"), dense=Letters())
    with pytest.raises(IndexExistsError, match="has dense vectors by letters already; --overwrite replaces them"):
        add_dense(tmp_path, Letters())
    with StoredIndex.open(tmp_path) as reader:
        add_dense(tmp_path, Letters(), overwrite=True)
        assert reader.dense is not None and len(list((tmp_path / "dense").iterdir())) == 2
    add_dense(tmp_path, Letters(), overwrite=True)
    assert len(list((tmp_path / "dense").iterdir())) == 1


def test_an_interrupted_addition_resumes(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "index"
    index_documents(DOCUMENTS, path, load_encoder("bm25"))
    names = {entry.name for entry in path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        add_dense(path, Letters(interrupted_at="d600"))
    assert {entry.name for entry in path.iterdir()} == names
    n_kept = kept_documents(staging_folder(path))
    assert 0 < n_kept < 600
    kept = f"{n_kept} documents are encoded: they are kept in {staging_folder(path)}"
    assert logged.messages == [f"{kept}, and the same command resumes from them"]
    again = Letters()
    add_dense(path, again)
    assert again.seen == [document.doc_id for document in DOCUMENTS[n_kept:]]
    assert f"an interrupted run has encoded {n_kept} documents" in logged.messages[1]
    assert np.array_equal(rows(path), Letters().encode_dense_documents(DOCUMENTS).astype(np.float16))


def test_no_index_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        add_dense(tmp_path, Letters())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("add", ["with the documents", "later"])
def test_what_is_not_a_number_names_the_document(tmp_path: Path, add: str) -> None:
    broken = Letters(broken_at="d400")
    if add == "later":
        index_documents(DOCUMENTS, tmp_path / "index", load_encoder("bm25"))
    with pytest.raises(EncoderError, match="document 'd400': its dense vector holds NaN or infinity"):
        if add == "later":
            add_dense(tmp_path / "index", broken)
        else:
            index_documents(DOCUMENTS, tmp_path / "index", load_encoder("bm25"), dense=broken)
    assert add == "later" or not (tmp_path / "index").exists()


def test_a_writer_takes_only_vectors_of_the_index(tmp_path: Path) -> None:
    encoder = load_encoder("bm25")
    counts = encoder.encode_documents(DOCUMENTS[:2])
    with IndexWriter(tmp_path / "a", encoder, dense={**Letters.description, "dimension": 4}) as writer:
        with pytest.raises(LsrError, match=r"dense vectors of shape \(2, 5\): one row each of 4 numbers is due"):
            writer.add(DOCUMENTS[:2], counts, np.zeros((2, 5), np.float32))
        with pytest.raises(LsrError, match="2 documents lack dense vectors, which the index's others have"):
            writer.add(DOCUMENTS[:2], counts)
    with (
        IndexWriter(tmp_path / "b", encoder) as writer,
        pytest.raises(LsrError, match="2 documents have dense vectors, which none of the index's others have"),
    ):
        writer.add(DOCUMENTS[:2], counts, np.zeros((2, 4), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_an_index_without_them_says_how_to_add_them(tmp_path: Path) -> None:
    index_documents(DOCUMENTS[:5], tmp_path, load_encoder("bm25"))
    with StoredIndex.open(tmp_path) as index:
        assert index.dense is None and index.segments[0].dense is None
        with pytest.raises(UsageError, match=f"add them by 'lsr index --index {tmp_path} --dense E'"):
            QueryEncoders(index).dense  # noqa: B018


def spoil_row(path: Path) -> None:
    (file,) = path.glob("dense/*/vectors.npy")
    data = bytearray(file.read_bytes())
    data[-8:] = np.array([1, 2, np.nan, 4], np.float16).tobytes()
    file.write_bytes(bytes(data))
    accept(path, file)


def drop_row(path: Path) -> None:
    (file,) = path.glob("dense/*/vectors.npy")
    np.save(file, np.load(file)[:-1])
    accept(path, file)


def widen(path: Path) -> None:
    (file,) = path.glob("dense/*/vectors.npy")
    np.save(file, np.hstack([np.load(file)] * 2))
    accept(path, file)


def accept(path: Path, file: Path) -> None:
    """Write the file's new size and checksum into the manifest, as if it had been made so."""
    manifest_file = path / "manifest-00000001.json"
    manifest = read_manifest(path, 1)
    info = manifest.segments[0]
    assert info.dense is not None
    manifest_file.unlink()
    dense = replace(info.dense, files={"vectors.npy": checksum(file)})
    write_manifest(path, replace(manifest, segments=(replace(info, dense=dense),)))


@pytest.mark.parametrize(
    ("spoil", "problem", "opens"),
    [
        (spoil_row, r"vectors\.npy: row 19 holds what is not a number", True),
        (drop_row, "19 rows, but the segment has 20 documents", False),
        (widen, "dense vectors have dimension 8, but those of the index have 4", False),
    ],
)
def test_damage_that_checksums_would_not_show_is_found(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str, opens: bool
) -> None:
    index_documents(DOCUMENTS[:20], tmp_path, load_encoder("bm25"), dense=Letters())
    spoil(tmp_path)
    (line,) = verify(tmp_path)[1]
    assert re.search(problem, line)
    if not opens:
        with pytest.raises(IndexDamagedError, match=problem):
            StoredIndex.open(tmp_path)


def test_a_changed_byte_is_found_by_the_checksum(tmp_path: Path) -> None:
    index_documents(DOCUMENTS[:20], tmp_path, load_encoder("bm25"), dense=Letters())
    (file,) = tmp_path.glob("dense/*/vectors.npy")
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(bytes(data))
    (line,) = verify(tmp_path)[1]
    assert "vectors.npy: its content is not what was written" in line
    file.write_bytes(bytes(data[:-2]))
    with pytest.raises(IndexDamagedError, match="bytes instead of"):
        StoredIndex.open(tmp_path)


def test_a_corpus_gives_the_same_through_shards_as_directly(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(json.dumps({"_id": d.doc_id, "title": d.title, "text": d.text, "n": 3}) + "\n" for d in DOCUMENTS)
    )
    index_corpus([corpus], tmp_path / "staged", load_encoder("bm25"), dense=Letters())
    index_documents(DOCUMENTS, tmp_path / "direct", load_encoder("bm25"), dense=Letters())
    assert np.array_equal(rows(tmp_path / "staged"), rows(tmp_path / "direct"))
    with StoredIndex.open(tmp_path / "staged") as staged, StoredIndex.open(tmp_path / "direct") as direct:
        for name, array in direct.segments[0].arrays.items():
            assert np.array_equal(array, staged.segments[0].arrays[name])
        assert staged.segments[0].document(5) == replace(direct.segments[0].document(5), fields={"n": 3})
