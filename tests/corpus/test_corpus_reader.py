"""The reading as a whole: order, streaming, repeated ids, what can't be read, progress and the summary."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.corpus import compression, opening
from lsr.indexer.corpus.doc_ids import DocIdLedger, fit_doc_id
from lsr.indexer.corpus.formats import plain_text
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import total_bytes


def line(doc_id: object, text: str = "x") -> str:
    return json.dumps({"_id": doc_id, "text": text}) + "\n"


def test_files_of_all_kinds_in_one_corpus_in_the_order_of_their_names(plant, read, report):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["parquet"], "text": ["x"]}), table)
    folder = plant(
        {
            "1.csv": "id,text\ncsv,x\n",
            "2/a.jsonl": line("jsonl"),
            "3.json": f"[{line('json')}]",
            "4.html": "<p>x",
            "5.md.gz": gzip.compress(b"x"),
            "6.parquet": table.getvalue(),
            "7.tsv": "id\ttext\ntsv\tx\n",
            "8.txt": "x",
        }
    )
    documents = read(folder)
    assert list(documents) == ["csv", "jsonl", "json", "4.html", "5.md.gz", "parquet", "tsv", "8.txt"]
    assert {document.text for document in documents.values()} == {"x"}
    assert report.files == 8
    assert report.bytes_done == total_bytes([folder])


def test_reading_twice_gives_the_same(plant, read):
    folder = plant({"a.jsonl": line(1) + line(2), "b/c.txt": "y"})
    assert list(read_corpus([folder])) == list(read_corpus([folder]))


def test_nothing_is_read_before_it_is_asked_for(plant, report):
    folder = plant({"a.jsonl": line(1) + "broken", "b.txt": b"\xff"})
    documents = read_corpus([folder], report=report)
    assert report.documents == 0
    assert next(documents).doc_id == "1"
    assert report.documents == 1


def test_memory_does_not_grow_with_the_corpus(plant):
    def peak(n: int) -> int:
        rows = [line(i, "word " * 4000) for i in range(n)]
        folder = plant({f"{n}/lines/a.jsonl": "".join(rows), f"{n}/array/a.json": f"[{','.join(rows)}]"})
        rows.clear()
        tracemalloc.start()
        try:
            for name in ("lines", "array"):
                assert sum(1 for _ in read_corpus([folder / f"{n}" / name])) == n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(600) < peak(150) + (1 << 20)


def test_a_repeated_id_is_an_error_that_names_both_places(plant, read):
    folder = plant({"a/x.jsonl": line(1) + line(2), "b.jsonl": line(3) + "\n" + line("2")})
    with pytest.raises(
        BadDocumentError, match=r"doc_id stands twice: 2 in .*a/x\.jsonl, line 2 and again in .*b\.jsonl, line 3; give"
    ):
        read(folder)


def test_a_repeated_id_is_found_across_kinds_and_roots(plant, read):
    folder = plant({"a.txt": "x", "other/b.jsonl": line("a.txt")})
    with pytest.raises(BadDocumentError, match=r"a\.txt in .*/a\.txt and again in .*b\.jsonl, line 1"):
        read(folder)


def test_two_beir_sets_with_the_same_ids_are_told_apart_from_one_another(plant, read):
    folder = plant({f"{name}/{file}.jsonl": line(7) for name in ("one", "two") for file in ("corpus", "queries")})
    with pytest.raises(
        BadDocumentError, match=r"7 in .*one/corpus\.jsonl, line 1 and again in .*two/corpus\.jsonl, line 1"
    ):
        read(folder)


def test_with_skip_bad_the_first_of_a_repeated_id_stays(plant, read, report):
    folder = plant({"a.jsonl": line(1, "first") + line(1, "second"), "b.csv": "id,text\n1,third\n2,other\n"})
    assert {doc_id: document.text for doc_id, document in read(folder, skip_bad=True).items()} == {
        "1": "first",
        "2": "other",
    }
    assert report.skipped[Reason.DUPLICATE].count == 2
    assert "a.jsonl, line 1 and again in" in report.skipped[Reason.DUPLICATE].first


def test_the_ledger_takes_sixteen_bytes_an_id():
    ledger = DocIdLedger()
    for number in range(100_000):
        assert ledger.enter(f"doc-{number}", number // 1000, number % 1000) is None
    assert sum(map(len, ledger._buckets.values())) == 16 * 100_000
    assert ledger.enter("doc-54321", 9, 9) == (54, 321)
    assert ledger.enter("doc-54321", 9, 9) == (54, 321)


def test_a_position_too_large_for_the_ledger_is_kept_as_the_largest():
    ledger = DocIdLedger()
    assert ledger.enter("a", 1, 1 << 40) is None
    assert ledger.enter("a", 2, 2) == (1, (1 << 32) - 1)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(0, 9), st.integers(0, 99))
    )
)
def test_the_ledger_agrees_with_a_dictionary(entries):
    ledger, oracle = DocIdLedger(), {}
    for doc_id, file_ord, position in entries:
        assert ledger.enter(doc_id, file_ord, position) == oracle.get(doc_id)
        oracle.setdefault(doc_id, (file_ord, position))


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from(" %/\t"), min_size=1))
def test_an_id_stays_as_it_was_given_unless_utf8_cannot_hold_it(raw):
    doc_id = fit_doc_id(raw)
    doc_id.encode("utf-8")
    if not any("\ud800" <= character <= "\udfff" for character in raw):
        assert doc_id == raw


def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        LsrError, match=r"no document to index in .*: looked for .*csv, .*text, .*; skipped nothing: there is no file"
    ):
        list(read_corpus([tmp_path]))


def test_nothing_readable_is_an_error_that_says_what_was_skipped(plant, read, monkeypatch):
    monkeypatch.setattr(plain_text, "LARGEST_DATA_BYTES", 4)
    folder = plant({"a.png": "", ".b.txt": "", "c.txt": b"\xff", "d.csv": "a,b\n1,2\n"})
    with pytest.raises(LsrError) as caught:
        read(folder)
    for part in (
        "skipped 1: hidden",
        "skipped 1: of a kind",
        "not UTF-8",
        "data without a text field",
        "columns; no text among its fields a, b",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_but_bad_records_is_an_error_even_with_skip_bad(plant, read):
    with pytest.raises(LsrError, match=r"no document to index in .*: broken record"):
        read(plant({"a.jsonl": "nonsense\n"}), skip_bad=True)


@pytest.fixture
def forbid(monkeypatch):
    """Take the right to read from a file, also where the tests run as root, whom rights don't stop."""

    def forbid_path(path: Path) -> None:
        path.chmod(0)
        opened = opening._CountingFile.__init__

        def refusing(self, name, report):
            if name == str(path):
                raise PermissionError(13, "Permission denied")
            opened(self, name, report)

        if os.geteuid() == 0:
            monkeypatch.setattr(opening._CountingFile, "__init__", refusing)

    return forbid_path


def test_a_file_that_may_not_be_read_is_skipped_and_counted(plant, read, report, forbid):
    folder = plant({"a.txt": "x", "b.txt": "y", "c.jsonl": line(1)})
    forbid(folder / "b.txt")
    assert list(read(folder)) == ["a.txt", "1"]
    assert report.skipped[Reason.UNREADABLE].first == f"{folder / 'b.txt'}: Permission denied"
    assert report.bytes_done == total_bytes([folder])


def test_a_named_file_that_may_not_be_read_is_an_error(plant, read, report, forbid):
    folder = plant({"a.txt": "x", "b.txt": "y"})
    forbid(folder / "b.txt")
    with pytest.raises(BadDocumentError, match=r"b\.txt: can't be read: Permission denied; .*--skip-bad"):
        list(read_corpus([folder / "a.txt", folder / "b.txt"]))
    assert list(read(folder / "a.txt", folder / "b.txt", skip_bad=True)) == ["a.txt"]
    assert report.count_skipped(Reason.BAD_FILE) == 1


def test_a_file_that_goes_away_while_the_others_are_read_is_skipped(plant, report):
    folder = plant({"a.txt": "x", "b.txt": "y"})
    documents = read_corpus([folder], report=report)
    next(documents)
    (folder / "b.txt").unlink()
    assert list(documents) == []
    assert report.count_skipped(Reason.UNREADABLE) == 1


@pytest.mark.parametrize(
    "name", ["b.txt.gz", "b.md.gz", "b.html.gz", "b.csv.gz", "b.jsonl.gz", "b.json.gz", "b.parquet.gz"]
)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-4],
        lambda data: b"no gzip at all",
        lambda data: data[:12] + bytes([data[12] ^ 0xFF]) + data[13:],
        lambda data: data[:-8] + bytes(8),
    ],
)
def test_a_damaged_gzip_is_an_error_naming_it_and_with_skip_bad_counted(plant, read, report, name, damage):
    content = "id,text\n1,x\n" if ".csv" in name else "".join(line(i, os.urandom(20).hex()) for i in range(50))
    folder = plant({"a.txt": "x", name: damage(gzip.compress(content.encode()))})
    with pytest.raises(BadDocumentError, match=rf"{name}: the gzip file is damaged or cut off: "):
        list(read_corpus([folder]))
    assert "a.txt" in read(folder, skip_bad=True)
    assert report.count_skipped(Reason.BAD_FILE) == 1


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def pack(suffix: str, data: bytes) -> bytes:
    if suffix == ".zst":
        return bytes(pytest.importorskip("zstandard").compress(data))
    return PACKERS[suffix](data)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_compressed_files_read_as_what_is_in_them(plant, read, report, suffix):
    data = "".join(line(i, "word " * 100) for i in range(2000)).encode()
    folder = plant({f"a.jsonl{suffix}": pack(suffix, data), f"b.md{suffix}": pack(suffix, b"# T\n\nx")})
    documents = read(folder)
    assert len(documents) == 2001
    assert documents[f"b.md{suffix}"].title == "T"
    assert report.bytes_done == total_bytes([folder])


@pytest.mark.parametrize("suffix", [".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"nothing packed at all"])
def test_damaged_compressed_files_are_errors_naming_them(plant, read, report, suffix, damage):
    data = pack(suffix, "".join(line(i, os.urandom(20).hex()) for i in range(5000)).encode())
    folder = plant({"a.txt": "x", f"b.jsonl{suffix}": damage(data)})
    with pytest.raises(BadDocumentError, match=rf"b\.jsonl\{suffix}: the \w+ file is damaged or cut off: "):
        list(read_corpus([folder]))
    assert "a.txt" in read(folder, skip_bad=True)
    assert report.count_skipped(Reason.BAD_FILE) == 1


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_file_that_unpacks_without_bound_is_refused(plant, read, monkeypatch, suffix):
    monkeypatch.setattr(compression, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(compression, "MAX_EXPANSION", 10)
    folder = plant({f"b.jsonl{suffix}": pack(suffix, b"\n" * (8 << 20))})
    with pytest.raises(BadDocumentError, match=r"unpacks to over 10 times its size"):
        read(folder)


def test_a_missing_library_is_named_and_a_file_in_a_folder_is_counted(plant, read, report, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    folder = plant({"a.txt": "x", "b.txt.zst": b"anything"})
    assert list(read(folder)) == ["a.txt"]
    message = report.skipped[Reason.NO_LIBRARY].first
    assert message.endswith("b.txt.zst: needs zstandard, which is not installed: pip install 'lsr-search[documents]'")
    with pytest.raises(BadDocumentError, match=r"needs zstandard, which is not installed"):
        list(read_corpus([folder / "b.txt.zst"]))


def test_an_empty_gzip_is_an_empty_document(plant, read, report):
    assert read(plant({"a.txt.gz": gzip.compress(b""), "b.txt.gz": b""}))["a.txt.gz"].text == ""
    assert report.empty_documents == 2


def test_the_summary_says_what_was_read_changed_and_skipped(plant, read, report):
    folder = plant(
        {
            "a.jsonl": line("a\ud800b") + line(2, "") + line(3, "nul\0") + line(2) + '{"_id": 9}\n',
            "b.png": "",
            "c.png": "",
            ".hidden": "",
            "d.txt": b"\xff",
        }
    )
    with (folder / "a.jsonl").open("a") as file:
        file.write('{"_id": 5, "text": "x", "vector": [1.5]}\n')
    read(folder, skip_bad=True)
    table = folder / "a.jsonl"
    looked_for = (
        "text, contents, content, body, passage, segment, article, document, doc, abstract, page_content, context"
    )
    assert report.summary() == [
        "read 4 documents from 1 file",
        "kept 1 document without any text",
        "replaced NUL characters or lone surrogates in 1 document (first: 3)",
        "rewrote 1 doc_id that UTF-8 can't hold (first: 'a\\ud800b' is now a%ED%A0%80b)",
        "left field 'vector' out of 1 document: neither text, finite number, truth value nor list of these (first: 5)",
        f"skipped 1: hidden (first: {folder / '.hidden'})",
        f"skipped 2: of a kind that isn't read: 2 .png (first: {folder / 'b.png'})",
        f"skipped 1: not UTF-8 (first: {folder / 'd.txt'}: invalid start byte at byte 0)",
        f"skipped 1: broken record (first: {table}, line 5: no text among its fields _id; looked for {looked_for})",
        f"skipped 1: doc_id that stood before (first: 2 in {table}, line 2 and again in {table}, line 4)",
    ]


def test_the_summary_of_a_clean_reading_is_one_line(plant, read, report):
    read(plant({"a.txt": "x"}))
    assert report.summary() == ["read 1 document from 1 file"]
    assert CorpusReport().summary() == ["read 0 documents from 0 files"]


@pytest.mark.parametrize(
    ("name", "count"), [("nfcorpus", 3633), ("scifact", 5183), ("cranfield", 1400), ("cacm", 3204)]
)
def test_the_test_collections_are_read_whole(shared, read, report, name, count):
    documents = read(shared / "data" / "beir" / name)
    assert len(documents) == count
    assert report.count_skipped() == report.count_skipped(Reason.BESIDE_BEIR) == 2
    assert report.rewritten_ids is None
    assert report.cleaned is None
