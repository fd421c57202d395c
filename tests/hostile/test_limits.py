"""What a stranger's files may cost: nothing is decompressed, and sizes have limits that errors name."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import shutil
import sys
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lsr
from lsr.cli.main import main
from lsr.cli.searches.explain import vector_lines
from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.identifiers import LONGEST_KNOWN, Identifiers
from lsr.encoders.lexical.word_counts import WordIds
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, LsrError, UsageError
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.integrity import parquet_limits
from lsr.indexer.integrity.arrow_layout import check_layout
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage import find_index as storage
from lsr.indexer.storage.documents import SCHEMA
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import LARGEST_MANIFEST
from lsr.indexer.transfer.archive import LARGEST_HEADER, import_index
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.output.explained import explained_lines, print_explained
from lsr.output.terminal import lines_of
from lsr.query.explain.text_vector import document_vector
from lsr.query.searcher import Searcher
from lsr.types import Document

sys.path.insert(0, str(Path(__file__).parent))
from forger import newest_manifest, register, write_manifest

LITTLE = 64 << 20
"""Bytes that a refusal may take."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    documents = [Document(f"d{i}", f"word{i} common", "", {"year": i}) for i in range(3)]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"))
    return tmp_path / "index"


def replace_file(path: Path, name: str, data: bytes) -> None:
    """Put other content into a file of the first segment, under a checksum that fits."""
    content = json.loads(newest_manifest(path).read_text())
    part = content["segments"][0]["part"]
    (path / part["kind"] / part["id"] / name).write_bytes(data)
    register(path, part, name)
    write_manifest(path, content)


def arrow_file(schema: Any, batches: list[Any], compression: str | None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def bomb(compression: str) -> bytes:
    """Return a document store of three documents, of which one unpacks to 200 MB."""
    texts = pa.array(["", "", "x" * 200_000_000], pa.large_string())
    ids = pa.array(["d0", "d1", "d2"])
    batch = pa.record_batch([ids, ids, texts, pa.array([None] * 3, pa.string())], schema=SCHEMA)
    return arrow_file(SCHEMA, [batch], compression)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_documents_are_refused_before_they_unpack(path: Path, compression: str) -> None:
    replace_file(path, "documents.arrow", bomb(compression))
    before = pa.total_allocated_bytes()
    with pytest.raises(IndexDamagedError, match="record batch 0 is compressed"):
        lsr.open(path).get("d1")
    assert pa.total_allocated_bytes() - before < LITTLE


def test_compressed_fields_are_refused(path: Path) -> None:
    schema = pa.schema([("year", pa.int64())])
    batch = pa.record_batch([pa.array([1, 2, 3])], schema=schema)
    replace_file(path, "fields.arrow", arrow_file(schema, [batch], "zstd"))
    with pytest.raises(IndexDamagedError, match="compressed"):
        lsr.open(path).search("common", where="year > 1")


def test_dictionaries_are_refused() -> None:
    schema = pa.schema([("x", pa.dictionary(pa.int8(), pa.string()))])
    batch = pa.record_batch([pa.array(["a", "b"]).dictionary_encode().cast(schema.field(0).type)], schema=schema)
    with pytest.raises(ValueError, match="dictionaries"):
        check_layout(memoryview(arrow_file(schema, [batch], None)))


@pytest.mark.parametrize("n_batches", [0, 1, 3])
def test_what_a_writer_writes_passes(n_batches: int) -> None:
    batch = pa.record_batch([pa.array(["a"]), pa.array(["b"]), pa.array(["c"], pa.large_string()), pa.array(["{}"])],
                            schema=SCHEMA)  # fmt: skip
    check_layout(memoryview(arrow_file(SCHEMA, [batch] * n_batches, None)))


def test_a_cut_or_broken_layout_is_a_plain_error() -> None:
    whole = bytearray(arrow_file(SCHEMA, [], None))
    for size in range(0, len(whole), 7):
        with pytest.raises(ValueError, match=r"Arrow|layout|footer|outside"):
            check_layout(memoryview(whole[:size]))


def test_fields_nested_without_end_are_a_plain_error(path: Path) -> None:
    ids = pa.array(["d0", "d1", "d2"])
    deep = pa.array(["[" * 200_000, None, None], pa.string())
    batch = pa.record_batch([ids, ids, ids.cast(pa.large_string()), deep], schema=SCHEMA)
    replace_file(path, "documents.arrow", arrow_file(SCHEMA, [batch], None))
    with pytest.raises(IndexDamagedError):
        list(lsr.open(path))


@pytest.mark.parametrize("size", [LARGEST_MANIFEST + 1, 60_000_000])
def test_a_manifest_has_a_largest_size(path: Path, size: int) -> None:
    manifest = next(path.glob("manifest-*.json"))
    manifest.write_bytes(b" " * (size - 2) + b"{}")
    tracemalloc.start()
    try:
        with pytest.raises(IndexDamagedError, match="more than 16,777,216 bytes, the limit"):
            StoredIndex.open(path)
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"x":' * 100_000])
def test_a_manifest_nested_without_end_is_a_plain_error(path: Path, deep: bytes) -> None:
    next(path.glob("manifest-*.json")).write_bytes(deep)
    with pytest.raises(IndexDamagedError, match="not a readable manifest"):
        StoredIndex.open(path)


def header(kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def sparse_tail(file: Path, size: int) -> None:
    """Make a file as long as a header says, without writing it."""
    with file.open("r+b") as opened:
        opened.truncate(size)


@pytest.mark.parametrize(
    "kind",
    [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK],
)
def test_an_archive_with_a_large_header_is_refused(tmp_path: Path, kind: bytes) -> None:
    file = tmp_path / "file.tar"
    file.write_bytes(header(kind, 3 << 30))
    sparse_tail(file, (3 << 30) + 4096)
    with pytest.raises(IndexDamagedError, match=f"the limit is {LARGEST_HEADER:,}"):
        import_index(file, tmp_path / "index")


def test_an_archive_of_nothing_but_headers_is_refused(tmp_path: Path) -> None:
    record = b"13 comment=x\n"
    one = header(tarfile.XHDTYPE, len(record)) + record.ljust(512, b"\0")
    (tmp_path / "file.tar").write_bytes(one * 5000)
    with pytest.raises(IndexDamagedError, match="more than 4 extended headers"):
        import_index(tmp_path / "file.tar", tmp_path / "index")


def test_an_archive_of_a_file_with_holes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.tar").write_bytes(header(tarfile.GNUTYPE_SPARSE, 0) + b"\0" * 4096)
    with pytest.raises(IndexDamagedError, match="a file with holes"):
        import_index(tmp_path / "file.tar", tmp_path / "index")


def vectors_file(path: Path, texts: Any, **options: Any) -> Path:
    n = len(texts)
    columns = {"id": [str(i) for i in range(n)], "terms": [["x"]] * n, "weights": [[1.0]] * n, "text": texts}
    pq.write_table(pa.table(columns), path, store_schema=False, **options)
    return path


def test_a_text_that_a_file_of_vectors_repeats_is_not_copied(tmp_path: Path) -> None:
    """Refuse 13 kB that are 400 GB of texts: one of 100 MB, 4,096 times."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), ["x" * 100_000_000])
    path = vectors_file(tmp_path / "v.parquet", texts, compression="zstd", dictionary_pagesize_limit=1 << 30)
    del texts
    assert path.stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LsrError, match=r"texts of 4,096 rows are 409,600,0.* bytes, more than 1,073,741,824"):
        next(read_vectors(path, lambda term: 0))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < (1 << 30) // 1024


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.gz"])
def test_a_text_that_a_corpus_repeats_is_not_copied(tmp_path: Path, suffix: str) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), ["x" * 20_000_000])
    path = vectors_file(tmp_path / "v.parquet", texts, compression="zstd", dictionary_pagesize_limit=1 << 30)
    if suffix == ".parquet.gz":
        path = Path(shutil.copy(path, tmp_path / "w.parquet.gz"))
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(LsrError, match="bytes, more than 1,073,741,824, the limit"):
        list(read_corpus([path]))


def test_a_row_group_that_says_it_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_limits, "FREE_BYTES", 1 << 20)
    path = vectors_file(tmp_path / "v.parquet", ["x" * 10_000_000], compression="zstd", use_dictionary=False)
    with pytest.raises(LsrError, match=r"row group 0 unpacks to .* bytes, over 250 times the size of the file"):
        next(read_vectors(path, lambda term: 0))


def test_texts_of_vectors_are_read_as_they_are(tmp_path: Path) -> None:
    texts = ["same", None, "other", "same", ""] * 3000
    path = vectors_file(tmp_path / "v.parquet", texts, row_group_size=2000)
    found = [document.text for documents, _, _ in read_vectors(path, lambda term: 0) for document in documents]
    assert found == [text or "" for text in texts]


TEXTS: dict[str, Callable[[int], str]] = {
    "words": lambda n: "apple pear " * (n // 11),
    "different words": lambda n: " ".join(f"apple{i}" for i in range(n // 10)),
    "accents": lambda n: "äpple pear " * (n // 11),
    "no spaces": lambda n: "apple.pear," * (n // 11),
    "one word": lambda n: "apple" * (n // 5),
    "ideographs": lambda n: "苹果" * (n // 2),
    "marks": lambda n: "apple a" + "\u0301" * n,
    "forms that change their length": lambda n: "apple,ﬁne,İs," * (n // 13),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_work_of_an_explanation_grows_with_the_text_and_no_faster(
    kind: str, tmp_path: Path, count_calls: Callable[[Callable[[], object]], int]
) -> None:
    counts = []
    for n in (25_000, 100_000):
        lsr.index([{"doc_id": "d", "text": TEXTS[kind](n)}], tmp_path / str(n), encoder="bm25")
        searcher = Searcher(tmp_path / str(n))
        query = " ".join(TEXTS[kind](2_000).split()[:200])

        def explain(searcher: Searcher = searcher, query: str = query) -> None:
            explained = searcher.explain(query, k=1)
            list(explained_lines(explained))
            print_explained(explained, searcher.term_finder)
            list(vector_lines(document_vector(searcher, "d"), 40))

        explain()
        counts.append(count_calls(explain))
    assert counts[1] < 5 * counts[0] + 20_000


def test_lines_of_a_long_text_are_found_by_reading_it_once(count_calls: Callable[[Callable[[], object]], int]) -> None:
    class Read(str):
        """A text that notes how much of it is copied."""

        n_read = 0

        def __getitem__(self, place: Any) -> str:
            part = super().__getitem__(place)
            Read.n_read += len(part)
            return part

    list(lines_of(Read("word äö " * 20_000), 80))
    assert Read.n_read < 10 * 8 * 20_000


@pytest.fixture
def of_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Find an index of another user in a folder above."""
    above = path.with_name("above")
    (above / "work").mkdir(parents=True)
    shutil.move(path, above / storage.DEFAULT_NAME)
    user = os.geteuid() + 1
    monkeypatch.setattr(storage.os, "geteuid", lambda: user)
    monkeypatch.chdir(above / "work")
    return above / storage.DEFAULT_NAME


CHANGES: list[list[str]] = [["add", "x.txt"], ["update", "x.txt"], ["delete", "d1"], ["merge"]]


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command[0])
def test_an_index_of_another_user_is_not_changed_unless_it_is_named(
    of_another: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.txt").write_text("a text")
    assert main(command) == 2
    assert f"{of_another} belongs to the user" in (err := capsys.readouterr().err) and "name it by --index" in err
    with StoredIndex.open(of_another) as index:
        assert index.manifest.generation == 1
    assert main([*command, "--index", str(of_another)]) == 0


def test_an_index_of_another_user_is_read_with_a_word_about_it(
    of_another: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "common"]) == 0
    assert f"using the index at {of_another}, which belongs to the user" in capsys.readouterr().err
    assert main(["search", "common", "--index", str(of_another)]) == 0
    assert "belongs" not in capsys.readouterr().err


def test_an_index_of_another_user_that_was_found_is_not_changed_from_python(of_another: Path) -> None:
    changes: list[Callable[[lsr.Index], Any]] = [
        lambda index: index.add(["more"]),
        lambda index: index.delete("d1"),
        lambda index: index.merge(),
    ]
    for change in changes:
        with pytest.raises(UsageError, match="belongs to the user"):
            change(lsr.open())
        change(lsr.open(of_another))


def test_long_words_are_not_cached(tmp_path: Path) -> None:
    """As many as are cached would take all memory."""
    known = Identifiers()
    assert known["a:b" * LONGEST_KNOWN] and not known
    assert known["a:b"] and list(known) == ["a:b"]
    word_ids = WordIds(Analyser(AnalyserSettings("none", "none")), lambda term: 7)
    assert word_ids["a" * (LONGEST_KNOWN + 1)] == word_ids["ab"] == 7 and list(word_ids) == ["ab"]
