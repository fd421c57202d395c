"""Fuzzing by Hypothesis: whatever a stranger's bytes and words are, they are taken or refused by an error of ours.

Each runs some dozen examples; with `--large` thousands.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lsr
from lsr.errors import LsrError
from lsr.eval.data.datasets import read_queries
from lsr.eval.data.runs import read_run
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import all_formats
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.query.encoded_queries import read_encoded_queries
from lsr.query.filters.language import parse_filter
from lsr.query.searcher import Searcher

sys.path.insert(0, str(Path(__file__).parent))
from forger import make, newest_manifest, parts_of, register, write_manifest

Fuzz = Callable[..., None]

TOKENS = (
    b"\0 \xff {} [] \" ' , : \n \r\n \t < > & ; <![CDATA[ --- ``` \\ / .. PK \x1b[ \xe2\x80\xae 1e999 NaN null true "
    b"9999999999999999999999 -1 %PDF From \xef\xbb\xbf"
).split(b" ")
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 40),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=6,
)
"""Places (as parts of the length), numbers of bytes that are removed there, what is put there, how many times."""

WORDS = st.sampled_from(
    "year lang tags nofield = == != < <= >= > in not and or is contains null true false ( ) [ ] , - + * . ' \" 'x' "
    "\"y\" 2020 2020-01-01 1e9 1e999 9999999999999999999 0x10 0b1 _ __class__ lambda : := if else for await \\ # @ "
    "~ ` ; \n \t \0 \ud800 \u202e é 苹果 'a' in tags".split(" ")
)  # fmt: skip
FILTERS = st.one_of(st.lists(WORDS, max_size=14).map(" ".join), st.lists(WORDS, max_size=8).map("".join), st.text())
QUERIES = st.one_of(
    st.text(max_size=300), st.text(st.characters(), max_size=60), st.lists(WORDS, max_size=20).map(" ".join)
)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    """Try something with examples; many with --large."""

    def run(work: Callable[[Any], object], examples: st.SearchStrategy[Any], *, small: int, large: int) -> None:
        n = large if request.config.getoption("--large") else small

        @settings(max_examples=n, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(examples)
        def tried(example: Any) -> None:
            try:
                work(example)
            except LsrError as error:
                assert 0 < len(str(error)) < 5000

        tried()

    return run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("fuzz") / "index")


def edited(data: bytes, edits: list[tuple[float, int, bytes, int]]) -> bytes:
    for place, n_removed, put, times in edits:
        at = math.floor(place * len(data))
        data = data[:at] + put * times + data[at + n_removed :]
    return data


@pytest.mark.timeout(3600)
def test_filters(fuzz: Fuzz, original: Path) -> None:
    searcher = Searcher(original)

    def select(text: str) -> None:
        parse_filter(text)
        searcher.search("common", k=3, where=text)

    fuzz(select, FILTERS, small=300, large=20_000)


@pytest.mark.timeout(3600)
def test_queries(fuzz: Fuzz, original: Path) -> None:
    searcher = Searcher(original)

    def ask(text: str) -> None:
        searcher.search(text, k=3, total=True, feedback=2)
        searcher.explain(text, k=1)

    fuzz(ask, QUERIES, small=100, large=5_000)


def archive_of(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def parquet(**columns: Any) -> bytes:
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed)
    return packed.getvalue()


def pdf() -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length 32>>stream\nBT /F 9 Tf (some words) Tj ET   \nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]  # fmt: skip
    data, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return data + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table, len(data),
    )  # fmt: skip


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
RECORD = {"_id": "a", "title": "t", "text": "some words", "year": 2020, "tags": ["x", "y"]}
SAMPLES: dict[str, bytes] = {
    ".json": json.dumps([RECORD, RECORD | {"_id": "b"}]).encode(),
    ".jsonl": b"\n".join(json.dumps(RECORD | {"_id": str(i)}).encode() for i in range(3)),
    ".csv": b"id,title,text,year\n1,t,\"some, words\",2020\n2,u,\"more\n lines\",2021\n",
    ".tsv": b"id\ttitle\ttext\n1\tt\tsome words\n2\tu\tmore\n",
    ".parquet": parquet(id=["a", "b"], text=["some words", "more"], year=[1, 2]),
    ".html": b"<html><head><title>t</title></head><body><p>some <b>words</b> &amp;<script>x</script></body></html>",
    ".xml": b"<?xml version='1.0'?><a><b c='d'>some words</b><!-- x --><e/></a>",
    ".ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": ["some words"]},
                                    {"cell_type": "code", "source": "x = 1", "outputs": []}]}).encode(),
    ".md": b"---\ntitle: t\ntags: [a, b]\n---\n# head\n\nsome *words*\n\n```py\nx = 1\n```\n",
    ".eml": b"From: a@b\nSubject: =?utf-8?q?t?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
            b"Content-Type: text/plain\n\nsome words\n--x\nContent-Type: text/html\n\n<p>more</p>\n--x--\n",
    ".mbox": b"From a@b Mon Jan  1 00:00:00 2020\nSubject: t\n\nsome words\n\n"
             b"From c@d Mon Jan  1 00:00:00 2020\n\nmore\n",
    ".docx": archive_of({"word/document.xml": f"<w:document {W}><w:body><w:p><w:r><w:t>some words</w:t></w:r></w:p>"
                                              "</w:body></w:document>"}),
    ".pdf": pdf(),
}  # fmt: skip
"""Of each format with a grammar; the others take any text."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "suffix", sorted({suffix for each in all_formats() for suffix in each.suffixes[:1]} | set(SAMPLES))
)
def test_corpora(fuzz: Fuzz, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"file{suffix}"
    sample = SAMPLES.get(suffix, SAMPLES[".md"] + SAMPLES[".html"])

    def read(edits: list[tuple[float, int, bytes, int]]) -> None:
        file.write_bytes(edited(sample, edits))
        for skip_bad in (True, False):
            list(read_corpus([file], skip_bad=skip_bad))

    few = suffix not in SAMPLES
    fuzz(read, EDITS, small=6 if few else 40, large=200 if few else 2_000)


VECTORS = parquet(id=["a", "b"], terms=[["x", "y"], ["z"]], weights=[[1.0, 2.0], [0.5]], text=["t", "u"])
OTHERS: dict[str, tuple[bytes, Callable[[Path, Path], object]]] = {
    "vectors": (VECTORS, lambda file, index: [*read_vectors(file, len)]),
    "encoded queries": (b'{"id": "1", "terms": {"word1": 1.5}}\n', lambda file, index: read_encoded_queries(
        file, StoredIndex.open(index))),
    "queries": (b'{"_id": "1", "text": "some words"}\n', lambda file, index: read_queries(file)),
    "run": (b"q Q0 d%20x 1 2.5 tag\nq Q0 e 2 1.5 tag\n", lambda file, index: read_run(file)),
}  # fmt: skip


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", OTHERS)
def test_other_files(fuzz: Fuzz, tmp_path: Path, original: Path, kind: str) -> None:
    sample, read = OTHERS[kind]
    file = tmp_path / ("file.parquet" if kind == "vectors" else "file.jsonl" if kind != "run" else "file.txt")

    def tried(edits: list[tuple[float, int, bytes, int]]) -> None:
        file.write_bytes(edited(sample, edits))
        read(file, original)

    fuzz(tried, EDITS, small=50, large=3_000)


def use(path: Path) -> None:
    searcher = Searcher(path)
    searcher.search("common word1", k=5, where="year > 2001")
    searcher.explain("common", k=1)
    lsr.open(path).stats()


@pytest.mark.timeout(3600)
def test_manifests(fuzz: Fuzz, tmp_path: Path, original: Path) -> None:
    path = Path(shutil.copytree(original, tmp_path / "index"))
    manifest = newest_manifest(path)
    sample = manifest.read_bytes()

    def tried(edits: list[tuple[float, int, bytes, int]]) -> None:
        manifest.write_bytes(edited(sample, edits))
        try:
            content = json.loads(manifest.read_bytes())
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            write_manifest(path, content)  # with a checksum that fits
        use(path)

    fuzz(tried, EDITS, small=60, large=3_000)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suffix", [".npy", ".arrow"])
def test_files_of_an_index(fuzz: Fuzz, tmp_path: Path, original: Path, suffix: str) -> None:
    """Edit headers and contents of arrays and Arrow files, under checksums that fit."""
    path = Path(shutil.copytree(original, tmp_path / "index"))
    manifest = newest_manifest(path)
    whole = manifest.read_bytes()
    places = [(part, name) for part in parts_of(json.loads(whole)) for name in part["files"] if name.endswith(suffix)]

    def tried(example: tuple[tuple[dict[str, Any], str], list[tuple[float, int, bytes, int]]]) -> None:
        (chosen, name), edits = example
        content = json.loads(whole)
        part = next(part for part in parts_of(content) if part["id"] == chosen["id"] and part["kind"] == chosen["kind"])
        file = path / part["kind"] / part["id"] / name
        before = file.read_bytes()
        try:
            file.unlink()
            file.write_bytes(edited(before, edits))
            register(path, part, name)
            write_manifest(path, content)
            use(path)
            verify(path)
        finally:
            file.unlink()
            file.write_bytes(before)
            manifest.write_bytes(whole)

    fuzz(tried, st.tuples(st.sampled_from(places), EDITS), small=60, large=3_000)


@pytest.mark.timeout(3600)
def test_archives(fuzz: Fuzz, tmp_path: Path, original: Path) -> None:
    file = tmp_path / "file.tar"
    export_index(original, file)
    sample = file.read_bytes()
    with tarfile.open(file) as archive:
        heads = [member.offset for member in archive]

    def tried(example: tuple[int, list[tuple[float, int, bytes, int]]]) -> None:
        head, edits = example
        # In a header, where the bytes are few that mean something.
        file.write_bytes(sample[:head] + edited(sample[head : head + 512], edits) + sample[head + 512 :])
        try:
            import_index(file, tmp_path / "imported")
        finally:
            shutil.rmtree(tmp_path / "imported", ignore_errors=True)

    fuzz(tried, st.tuples(st.sampled_from(heads), EDITS), small=60, large=3_000)
