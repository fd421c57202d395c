"""The table of arrays: what is in it is written, mapped, verified, merged, checked and exported, without more code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage import arrays
from lsr.indexer.storage.arrays import ARRAYS, ArraySpec, OnMerge, Per, Verified
from lsr.indexer.storage.files import forget_pages, map_numbers
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.indexer.write import document_arrays
from lsr.types import Document

LENGTH = ArraySpec("length", (np.uint16,), (Per.DOCUMENT,), OnMerge.ROWS, Verified.USE, optional=True)
"""A dummy: the characters of each document's text, by row."""


def document(number: int) -> Document:
    return Document(f"d{number}", "word " * (1 + number % 9))


def add_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a change of `arrays.py` and `document_arrays.py` would."""
    monkeypatch.setattr(arrays, "ARRAYS", (*ARRAYS, LENGTH))

    def make(pending: document_arrays.Pending) -> document_arrays.Made:
        every = np.ones(pending.n_docs, bool)
        return {"length": np.array([len(found.text) for found in pending.documents.some(every)], np.uint16)}

    monkeypatch.setattr(document_arrays, "MAKERS", [*document_arrays.MAKERS, make])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    add_length(monkeypatch)
    index_documents([document(i) for i in range(70)], tmp_path / "index", load_encoder("bm25"))
    add_documents([document(i) for i in range(70, 90)], tmp_path / "index", merge=False)
    delete_documents(["d3", "d77"], tmp_path / "index", merge=False)
    return tmp_path / "index"


def lengths(path: Path) -> list[list[int]]:
    with StoredIndex.open(path) as index:
        return [[] if (found := segment.array("length")) is None else found.tolist() for segment in index.segments]


def test_an_array_is_written_and_mapped(path: Path) -> None:
    expected = [5 * (1 + i % 9) for i in range(90)]
    assert lengths(path) == [expected[:70], expected[70:]]
    assert verify(path)[1] == []


def test_an_array_by_row_follows_its_documents_into_a_merge(path: Path) -> None:
    merge_index(path)
    assert lengths(path) == [[5 * (1 + i % 9) for i in range(90) if i not in (3, 77)]]


def test_an_array_goes_out_as_one_file_and_back(path: Path, tmp_path: Path) -> None:
    export_index(path, tmp_path / "index.tar")
    import_index(tmp_path / "index.tar", tmp_path / "again")
    assert lengths(tmp_path / "again") == lengths(path)


def test_a_damaged_array_is_noticed_when_it_is_read(path: Path) -> None:
    file = next((path / "segments").rglob("length.npy"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexDamagedError, match=r"length\.npy: its content is not what was written"):
        lengths(path)
    assert len(verify(path)[1]) == 1


def test_an_array_of_another_length_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ArraySpec("length", (np.uint16,), (Per.TERM,), OnMerge.ROWS, Verified.USE, optional=True)
    monkeypatch.setattr(arrays, "ARRAYS", (*ARRAYS, wrong))
    with pytest.raises(IndexDamagedError, match="length has the shape"):
        StoredIndex.open(path)


def test_an_index_without_the_array_stays_readable(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    golden = Path(shutil.copytree(Path(__file__).parent / "golden" / "format-1" / "index", tmp_path / "golden"))
    assert set(map(tuple, lengths(golden))) == {()}
    merge_index(golden)
    assert lengths(golden) == [[]] and verify(golden)[1] == []


@pytest.mark.parametrize("spec", ARRAYS, ids=lambda spec: spec.name)
def test_every_array_is_described(spec: ArraySpec, root: Path) -> None:
    text = (root / "docs" / "FORMAT.md").read_text(encoding="utf-8").split("\n## Segment\n")[1]
    row = next(line for line in text.splitlines() if line.startswith("|") and f"`{spec.file}`" in line.split("|")[1])
    assert all(np.dtype(dtype).name in row for dtype in spec.dtypes)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs /proc/self/smaps, as Linux has it")
def test_pages_of_a_mapped_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "numbers.spool"
    numbers = np.arange(1 << 18, dtype=np.int32)
    path.write_bytes(numbers.tobytes())
    mapped = map_numbers(path, np.int32)
    assert int(mapped.sum()) == int(numbers.sum()) and resident_bytes(path) == numbers.nbytes
    forget_pages(mapped[5:])
    assert resident_bytes(path) == 0
    assert np.array_equal(mapped, numbers)
    forget_pages(numbers)  # not mapped: stays
    assert numbers[7] == 7


def resident_bytes(path: Path) -> int:
    """The bytes of a file that this process has mapped and holds."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    header = next(i for i, line in enumerate(lines) if line.endswith(str(path)))
    rss = next(line for line in lines[header:] if line.startswith("Rss:"))
    return int(rss.split()[1]) * 1024
