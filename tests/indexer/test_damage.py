"""An index that is damaged, foreign, newer or half there is refused, with an error that says what and where."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.files import checksum, save_array
from lsr.indexer.storage.find_index import find_index
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import _canonical
from lsr.indexer.transfer.check import verify
from lsr.indexer.write import writer
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.query.searcher import Searcher
from lsr.types import Document

MANIFEST = "manifest-00000001.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, small: Any) -> Path:
    path = tmp_path_factory.mktemp("sound") / "index"
    small.write(path, 700).close()
    return path


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    """Give a copy to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "index"))


def files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*/*/*") if file.is_file())


def find(path: Path, name: str) -> Path:
    (found,) = (file for file in files(path) if file.name == name and (name != "terms.npy" or "segments" in file.parts))
    return found


def edit_manifest(path: Path, change: Callable[[dict[str, Any]], Any], *, crc: bool = True) -> None:
    """Change a manifest, and make its checksum fit again."""
    content = json.loads((path / MANIFEST).read_text())
    change(content)
    content.pop("crc32", None)
    if crc:
        content["crc32"] = zlib.crc32(_canonical(content))
    (path / MANIFEST).write_bytes(_canonical(content))


def replace_array(path: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change an array, and make the manifest's checksum of it fit again."""
    file = find(path, name)
    array = np.load(file)
    changed = change(array)
    file.unlink()
    info = save_array(file, array if changed is None else changed)

    def enter(content: dict[str, Any]) -> None:
        for part in [content["vocabulary"], content["encoder_files"], *(s["part"] for s in content["segments"])]:
            if name in part["files"] and part["kind"] == file.parts[-3]:
                part["files"][name] = {"size_bytes": info.size_bytes, "crc32": info.crc32}

    edit_manifest(path, enter)


def test_every_file_is_missed(sound: Path, tmp_path: Path) -> None:
    for number, file in enumerate(files(sound)):
        path = Path(shutil.copytree(sound, tmp_path / str(number)))
        (path / file.relative_to(sound)).unlink()
        with pytest.raises(IndexDamagedError, match=f"{file.name}: can't be read .No such file"):
            StoredIndex.open(path)


@pytest.mark.parametrize("cut", [1, 1000])
def test_every_file_that_was_cut_is_noticed(sound: Path, tmp_path: Path, cut: int) -> None:
    for number, file in enumerate(files(sound)):
        path = Path(shutil.copytree(sound, tmp_path / str(number)))
        size = file.stat().st_size
        os.truncate(path / file.relative_to(sound), max(0, size - cut))
        with pytest.raises(IndexDamagedError, match=rf"{file.name}: {max(0, size - cut)} bytes instead of {size}"):
            StoredIndex.open(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"'<u4'", b"'<i4'", "holds int32 .* not uint32 of 1 axes"),
        (b"'<u4'", b"'|O4'", "its header is not one that this program writes"),
        (b"False", b"True ", "its header is not one that this program writes"),
        (b"(", b" ", "its header is not one that this program writes"),
        (b"\x93NUMPY\x01", b"\x93NUMPY\x02", "not those of an .npy file of version 1.0"),
        (b"v\x00{", b"w\x00{", "its header is not one that this program writes"),
    ],
)
def test_the_headers_of_arrays_are_checked(index: Path, old: bytes, new: bytes, message: str) -> None:
    file = find(index, "rare.npy")
    data = file.read_bytes()
    assert old in data[:128]
    file.write_bytes(data.replace(old, new, 1))
    with pytest.raises(IndexDamagedError, match=f"rare.npy: not an array of this index .*{message}"):
        StoredIndex.open(index)


def test_shapes_must_fit_their_files_and_each_other(index: Path, sound: Path, tmp_path: Path) -> None:
    file = find(index, "insertion.npy")
    file.write_bytes(file.read_bytes().replace(b"(700,)", b"(701,)"))
    with pytest.raises(IndexDamagedError, match="bytes, but its header implies"):
        StoredIndex.open(index)
    for number, (name, change) in enumerate(
        {
            "insertion.npy": lambda a: a[:-1],
            "frequent_start.npy": lambda a: a[:0],
            "rare_start.npy": lambda a: np.append(a, a[-1]),
            "block_max.npy": lambda a: a[:, :-16],
            "kth_impact.npy": lambda a: a[:, :-1],
            "terms.npy": lambda a: a[:-1],
        }.items()
    ):
        path = Path(shutil.copytree(sound, tmp_path / str(number)))
        replace_array(path, name, change)
        with pytest.raises(IndexDamagedError, match="its arrays do not fit each other"):
            StoredIndex.open(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a readable manifest"),
        (b"{", "not a readable manifest"),
        (b"\xff\xfe", "not a readable manifest"),
        (b"[" * 100_000, "not a readable manifest"),
        (b"[]", "not a manifest of this program"),
        (b'{"format": "other"}', "not a manifest of this program"),
        (b'{"format": "lsr-index", "format_version": 2}', "format version 2, but this program reads 1 to 1"),
        (b'{"format": "lsr-index", "format_version": "1"}', "format version 1, but"),
        (b'{"format": "lsr-index", "format_version": 1}', "its checksum does not fit"),
    ],
)
def test_a_manifest_that_is_none(index: Path, text: bytes, message: str) -> None:
    (index / MANIFEST).write_bytes(text)
    with pytest.raises(IndexDamagedError, match=f"{MANIFEST}: {message}"):
        StoredIndex.open(index)


def test_a_manifest_that_was_edited_is_noticed(index: Path) -> None:
    content = (index / MANIFEST).read_bytes()
    (index / MANIFEST).write_bytes(content.replace(b'"n_docs": 700', b'"n_docs": 701'))
    with pytest.raises(IndexDamagedError, match="its checksum does not fit; restore it from a copy, or index again"):
        StoredIndex.open(index)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a part outside the index": lambda c: c["vocabulary"].update(id="../../elsewhere"),
    "a part of another kind": lambda c: c["vocabulary"].update(kind="../segments"),
    "a file outside its part": lambda c: c["encoder_files"]["files"].update({"../x": {"size_bytes": 0, "crc32": 0}}),
    "a hidden file": lambda c: c["encoder_files"]["files"].update({".x": {"size_bytes": 0, "crc32": 0}}),
    "a negative count": lambda c: c["segments"][0].update(n_docs=-1),
    "a count that is none": lambda c: c["segments"][0].update(n_docs=700.0),
    "more documents than positions": lambda c: c["segments"][0].update(n_docs=1 << 32),
    "an infinite scale": lambda c: c.update(scale=float("inf")),
    "a scale of nothing": lambda c: c.update(scale=0),
    "another generation": lambda c: c.update(generation=2),
    "no segments": lambda c: c.pop("segments"),
    "segments that are a number": lambda c: c.update(segments=7),
    "an encoder that is a text": lambda c: c.update(encoder="bm25"),
    "statistics that are none": lambda c: c.update(statistics={"n_docs": "many"}),
    "dense vectors of nobody": lambda c: c.update(dense={"kind": "dense", "dimension": 3}),
    "dense vectors outside the index": lambda c: c["segments"][0].update(
        dense={"kind": "dense", "id": "../x", "files": {}}
    ),
    "passages of a text": lambda c: c.update(passages={"overlap": "many"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_makes_no_sense_is_refused_though_its_checksum_fits(index: Path, name: str) -> None:
    edit_manifest(index, CHANGES[name])
    with pytest.raises(IndexDamagedError, match="a field is missing or malformed"):
        StoredIndex.open(index)


def test_a_manifest_must_know_all_files_that_are_read(index: Path) -> None:
    edit_manifest(index, lambda content: content["segments"][0]["part"]["files"].pop("row.npy"))
    with pytest.raises(IndexDamagedError, match=r"the manifest does not know its row\.npy"):
        StoredIndex.open(index)


def test_no_index_at_all(tmp_path: Path, sound: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", sound / MANIFEST):
        with pytest.raises(IndexMissingError, match=f"no index at {path}: make one with 'lsr index CORPUS --index"):
            StoredIndex.open(path)
    with pytest.raises(IndexMissingError, match="no generation 5"):
        StoredIndex.open(sound, generation=5)
    shutil.copytree(sound, tmp_path / ".lsr")
    with pytest.raises(IndexMissingError, match=f"but there is one in it: --index {tmp_path}/.lsr"):
        StoredIndex.open(tmp_path)


def test_an_index_is_found_from_within_its_folder(tmp_path: Path, sound: Path) -> None:
    shutil.copytree(sound, tmp_path / ".lsr")
    inner = tmp_path / "a" / "b"
    (inner / ".lsr").mkdir(parents=True)  # empty: no index
    assert find_index(inner) == find_index(tmp_path) == tmp_path / ".lsr"
    (tmp_path / ".lsr" / MANIFEST).unlink()
    with pytest.raises(IndexMissingError, match=r"nor a folder above it has \.lsr; make one with 'lsr index CORPUS'"):
        find_index(inner)


def test_a_folder_that_cannot_be_read_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(IndexDamagedError, match=r"can't be read \(Permission denied\); check its permissions"):
        StoredIndex.open(index)


def test_a_damaged_index_can_be_overwritten(index: Path, small: Any) -> None:
    (index / MANIFEST).write_text("{")
    assert len(small.write(index, 5, overwrite=True)) == 5
    assert len(small.content(index)) == 5
    assert len(os.listdir(index / "segments")) == 1 and not (index / MANIFEST).exists()


def test_every_flipped_bit_is_found_by_its_checksum(index: Path) -> None:
    rng = np.random.default_rng(3)
    for file in files(index):
        whole = file.read_bytes()
        for at in rng.integers(0, len(whole), 3):
            data = bytearray(whole)
            data[at] ^= 1 << int(rng.integers(8))
            file.write_bytes(data)
            assert verify(index)[1] == [f"{file}: its content is not what was written (size or checksum differs)"]
        file.write_bytes(whole)
    assert verify(index)[1] == []


def test_several_wrong_files_are_all_named(index: Path) -> None:
    for name in ("row.npy", "documents.arrow"):
        file = find(index, name)
        file.write_bytes(b"\0" + file.read_bytes()[1:])
    find(index, "rare.npy").unlink()
    problems = verify(index)[1]
    assert [problem.partition(": ")[0].rpartition("/")[2] for problem in problems] == [
        "documents.arrow", "rare.npy", "row.npy",
    ]  # fmt: skip


def lower(array: Any) -> None:
    """Lower the largest value: a bound that is no bound any more."""
    array.reshape(-1)[np.argmax(array)] -= 1


def swap(array: Any) -> None:
    array[[0, 1]] = array[[1, 0]]


MEANINGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "block_max.npy": (lower, "block_max does not fit the postings"),
    "superblock_max.npy": (lower, "superblock_max does not fit the postings"),
    "kth_impact.npy": (lower, "kth_impact does not fit the postings"),
    "frequent.npy": (lower, "block_max does not fit the postings"),
    "frequent_start.npy": (lambda a: a.__setitem__(1, a[2] + 1), "frequent_start is not ascending"),
    "runs.npy": (lambda a: a.__setitem__((0, 2), 1), "runs do not ascend from 0"),
    "row.npy": (swap, "rows of frequent terms are not 0, 1"),
    "insertion.npy": (lambda a: a.__setitem__(0, a[1]), "insertion is not a permutation"),
    "terms.npy": (swap, "its terms are not ascending"),
    "id_hash.npy": (lambda a: a.__setitem__(0, a[0] + 1), "id_hash does not fit the documents"),
    "id_row.npy": (swap, "id_row does not fit the documents"),
    "term_order.npy": (swap, "its terms are not in order"),
    "term_start.npy": (lambda a: a.__setitem__(1, a[2] + 1), "its terms are not where they should be"),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_arrays_that_say_something_wrong_are_found_though_their_checksums_fit(index: Path, name: str) -> None:
    change, message = MEANINGS[name]
    replace_array(index, name, change)
    (problem,) = verify(index)[1]
    assert message in problem


def test_an_id_in_two_segments_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "refuse_duplicates", lambda segments: None)
    documents = [Document(str(i % 100), "x") for i in range(110)]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"), limits=SegmentLimits(n_docs=64))
    assert verify(tmp_path / "index")[1] == [f"{tmp_path / 'index'}: 10 doc_ids are there twice"]


def test_a_query_side_of_another_analyser_is_found(tmp_path: Path) -> None:
    index_documents([Document("a", "x")], tmp_path / "index", load_encoder("bm25"))
    edit_manifest(tmp_path / "index", lambda content: content["encoder"].update(revision="older"))
    assert verify(tmp_path / "index")[1] == [
        "BM25: the index was made with another word analyser: index the corpus again"
    ]


def test_documents_of_a_damaged_file_are_read_right_or_refused_but_never_end_the_process(index: Path) -> None:
    whole = find(index, "documents.arrow").read_bytes()
    with StoredIndex.open(index) as opened:
        expected = [opened.segments[0].document(row) for row in range(700)]
    rng = np.random.default_rng(11)
    places = rng.integers(0, len(whole), 400)
    pid = os.fork()
    if pid == 0:
        outcome = 1
        try:
            outcome = 0 if _read_flipped(index, whole, places, rng, expected) else 2
        finally:
            os._exit(outcome)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _read_flipped(index: Path, whole: bytes, places: Any, rng: Any, expected: list[Any]) -> bool:
    """Flip a byte here and there, read some documents; say whether every change was either refused or confined."""
    refused = 0
    for at in places.tolist():
        data = bytearray(whole)
        data[at] ^= 0xFF
        find(index, "documents.arrow").write_bytes(data)
        with StoredIndex.open(index) as opened:
            for row in rng.integers(0, 700, 5).tolist():
                try:
                    opened.segments[0].document(row)
                    opened.segments[0].documents.doc_ids([row])
                except IndexDamagedError:
                    refused += 1
    find(index, "documents.arrow").write_bytes(whole)
    with StoredIndex.open(index) as opened:
        again = [opened.segments[0].document(row) for row in range(700)]
    return again == expected and refused > 0


def test_a_posting_list_that_leads_out_of_its_array_is_no_crash(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_array(index, "runs.npy", lambda a: a.__setitem__(slice(None), 0xFFFFFFFF))
    searcher = Searcher(index)
    with pytest.raises(IndexDamagedError, match="runs do not ascend from 0 to where their term ends; 'lsr check' says"):
        searcher.engine.rank(np.arange(10, dtype=np.int32), np.ones(10, np.float32), 10, traversal="plain")
    monkeypatch.setattr(searcher.index.segments[0], "trust", lambda *terms: None)
    with pytest.raises(IndexDamagedError, match=r"the posting lists are damaged .*'lsr check' says where"):
        searcher.engine.rank(np.arange(10, dtype=np.int32), np.ones(10, np.float32), 10, traversal="plain")


def test_checksums_are_those_of_the_files(sound: Path) -> None:
    with StoredIndex.open(sound) as index:
        for part in index.manifest.parts:
            for name, info in part.files.items():
                assert checksum(part.folder(sound) / name) == info
