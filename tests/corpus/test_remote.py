"""Corpora that lie elsewhere: the same documents as from a folder, and limits to what a server can do."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.cli.main import main
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.remote import arrow_store, web
from lsr.indexer.corpus.remote.url import Url, as_place
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.types import Document

LINES = "".join(json.dumps({"id": f"l{i}", "text": f"the river {i}", "year": 2000 + i}) + "\n" for i in range(50))


def corpus(folder: Path) -> Path:
    """Write a folder of many formats, with what a walk leaves out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub-b").mkdir()
    (folder / "a.txt").write_text("A lake.")
    (folder / "lines.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    (folder / "sub" / "b.md").write_text("# Mill\n\nA mill.")
    (folder / "sub" / "deep" / "NOTES").write_text("A text without a suffix.")
    (folder / "sub-b" / "t.csv").write_text("id,text\nc1,One\nc2,Two\n")
    pq.write_table(pa.table({"id": ["p1", "p2"], "text": ["One p", "Two p"]}), folder / "p.parquet")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("in/zip.txt", "A text in an archive.")
    (folder / ".hidden").write_text("no")
    (folder / "picture.bin").write_bytes(bytes(range(256)) * 8)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / "beir").mkdir(exist_ok=True)
        (folder / "beir" / name).write_text('{"_id": "b1", "text": "A text of BEIR"}\n')
    lsr.index(["not read"], folder / "index", encoder="bm25").close()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("remote") / "corpus")


def read(place: Any, options: CorpusOptions | None = None, **given: Any) -> tuple[list[Document], CorpusReport]:
    report = CorpusReport()
    return list(read_corpus([place], report=report, options=options, **given)), report


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[str]:
    """The folder in a stand-in for S3 in this process; the option that names it."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer
    boto3 = pytest.importorskip("boto3")
    server = server_of(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        for path in folder.rglob("*"):
            if path.is_file():
                client.put_object(
                    Bucket="bucket", Key=f"c/{path.relative_to(folder).as_posix()}", Body=path.read_bytes()
                )
        yield f"?endpoint=http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize(
    "options", [CorpusOptions(), CorpusOptions(include=("*.md", "*.gz")), CorpusOptions(exclude=("sub/",))]
)
def test_a_bucket_is_read_as_a_folder(bucket: str, folder: Path, options: CorpusOptions) -> None:
    here, of_folder = read(folder, options)
    there, of_bucket = read(as_place(f"s3://bucket/c{bucket}"), options)
    assert there == here and len(here) > 1
    assert (of_bucket.files, of_bucket.documents) == (of_folder.files, of_folder.documents)
    assert (
        of_bucket.bytes_done == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        or of_bucket.bytes_done <= of_folder.bytes_done + (folder / "picture.bin").stat().st_size
    )
    counted = (Reason.HIDDEN, Reason.UNKNOWN_KIND, Reason.BESIDE_BEIR)
    if not options.include:
        assert [of_bucket.count_skipped(one) for one in counted] == [of_folder.count_skipped(one) for one in counted]
    assert of_bucket.count_skipped(Reason.INDEX) > 0 or options.include


def test_files_of_a_bucket_have_the_ids_of_files(bucket: str, folder: Path) -> None:
    for name in ("a.txt", "lines.jsonl.gz", "p.parquet", "z.zip"):
        assert read(as_place(f"s3://bucket/c/{name}{bucket}"))[0] == read(folder / name)[0]
    several = list(read_corpus([as_place(f"s3://bucket/c/sub{bucket}"), folder / "a.txt"]))
    assert {document.doc_id for document in several} == {"a.txt", "bucket/c/sub/b.md", "bucket/c/sub/deep/NOTES"}


def test_commands_take_a_bucket(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = ["--index", str(tmp_path / "index")]
    assert main(["index", f"s3://bucket/c{bucket}", "--encoder", "bm25", *index]) == 0
    capsys.readouterr()
    assert main(["search", "mill", *index, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["doc_id"] == "sub/b.md"
    assert main(["add", f"s3://bucket/c/sub/b.md{bucket}", *index]) == 0  # by the id of a file that was named
    assert main(["update", f"s3://bucket/c/sub{bucket}", *index]) == 0
    assert main(["sync", *index]) == 1
    assert "made of no folder or file here" in capsys.readouterr().err
    with lsr.index(f"s3://bucket/c{bucket}", tmp_path / "python", encoder="bm25") as found:
        assert len(found) > 50


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/none{}", "no such file or folder: s3://bucket/none"),
        ("s3://other/c{}", "s3://other/c: (the store doesn't answer|no such)|no such"),
        ("s3://bucket/c?endpoint=http://127.0.0.1:9", "s3://bucket/c: the store doesn't answer as it should"),
    ],
)
def test_what_a_store_refuses_is_said(
    bucket: str, url: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arrow_store, "CONNECT_S", 1)
    monkeypatch.setattr(arrow_store, "ATTEMPTS", 1)
    with pytest.raises(LsrError, match=message) as raised:
        read(as_place(url.format(bucket)))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/a", "a corpus is read from paths, s3://"),
        ("s3:///a", "names no bucket"),
        ("s3://b/a?nothing=1", "no option 'nothing'"),
        ("hf://datasets/a/b?region=x", "no option 'region'"),
        ("s3://user:pass@b/a", "must not hold a password"),
        ("https://user:pass@host/a", "must not hold a name or password"),
        ("https:///a", "names no host"),
        ("https://host:x/a", "is no URL"),
        ("https://ho st/a", "names no host, or holds spaces"),
        ("s3://b/a#1", "write %23"),
        ("file://nowhere/a", "three slashes"),
        ("ir_datasets:", "names no dataset"),
    ],
)
def test_other_urls_are_refused(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=message):
        as_place(url)
    with pytest.raises(SystemExit) as left:
        main(["index", url, "--encoder", "bm25"])
    assert left.value.code == 2
    assert "pass@" not in capsys.readouterr().err


def test_places_that_are_no_urls_stay_paths(tmp_path: Path) -> None:
    assert as_place("a/b:c") == Path("a/b:c")
    assert as_place(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert as_place("S3://b/a") == Url("S3://b/a", "s3", "s3://b/a")
    assert [document.text for document in lsr.index(["https://host/a"], tmp_path / "i", encoder="bm25")] == [
        "https://host/a"
    ]


class _Pages:
    """A server of pages on this machine. answers: what each path is answered with."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = pages.answers.get(self.path.partition("?")[0])
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(
        self, path: str, content: bytes, *, length: int | None = -1, kind: str = "text/plain", code: int = 200,
        to: str = "",
    ) -> str:  # fmt: skip
        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(code)
            request.send_header("Content-Type", kind)
            if to:
                request.send_header("Location", to)
            if length is not None:
                request.send_header("Content-Length", str(len(content) if length < 0 else length))
            request.end_headers()
            request.wfile.write(content)

        self.answers[path] = answer
        return self.url + path


@pytest.fixture(scope="module")
def pages() -> Iterator[_Pages]:
    found = _Pages()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_files_on_the_web_are_read_as_files(pages: _Pages, folder: Path) -> None:
    for name in ("a.txt", "lines.jsonl.gz", "p.parquet", "z.zip", "sub/deep/NOTES"):
        url = pages.put(f"/{name}", (folder / name).read_bytes(), length=None if name == "a.txt" else -1)
        assert read(as_place(f"{url}?signature=secret"))[0] == read(folder / name)[0]
    url = pages.put("/page", b"<title>T</title><p>A page.", kind="text/html; charset=utf-8")
    (page,), report = read(as_place(url))
    assert (page.doc_id, page.title, page.text, report.bytes_done) == ("page.html", "T", "A page.", 26)
    moved = pages.put("/moved", b"", code=302, to="/a.txt")
    assert read(as_place(moved))[0][0].text == "A lake."


def test_commands_take_the_web(pages: _Pages, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = pages.put("/c/lines.jsonl", LINES.encode())
    assert main(["index", url, "--encoder", "bm25", "--index", str(tmp_path / "index")]) == 0
    assert len(lsr.open(tmp_path / "index")) == 50
    assert main(["index", f"{pages.url}/none.txt", "--encoder", "bm25", "--index", str(tmp_path / "none")]) == 1
    assert "none.txt: is not there (404 Not Found); check the URL" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/gone", {"content": b"", "code": 410}, "is not there"),
        ("/refused", {"content": b"", "code": 403}, "the server refuses \\(403"),
        ("/circle", {"content": b"", "code": 302, "to": "/circle"}, "redirect"),
        ("/away", {"content": b"", "code": 302, "to": "file:///etc/passwd"}, "/etc/passwd' is not allowed"),
        ("/ftp", {"content": b"", "code": 302, "to": "ftp://host/a"}, "leads to 'ftp://host/a'"),
        ("/cut.txt", {"content": b"short", "length": 9}, "cut off 4 bytes before its end"),
        ("/cut.jsonl", {"content": LINES.encode(), "length": len(LINES) + 9}, "cut off 9 bytes before its end"),
    ],
)  # fmt: skip
def test_what_goes_wrong_on_the_web_is_said(pages: _Pages, path: str, answer: dict[str, Any], message: str) -> None:
    with pytest.raises(LsrError, match=message):
        read(as_place(pages.put(path, **answer)))


def test_a_file_of_the_web_that_is_cut_off_is_no_shorter_corpus(pages: _Pages, tmp_path: Path) -> None:
    url = pages.put("/part.jsonl", LINES.encode()[:2000], length=len(LINES))
    with pytest.raises(BadDocumentError, match="cut off"):
        lsr.index(url, tmp_path / "index", encoder="bm25")
    assert not (tmp_path / "index").exists()


def test_no_answer_is_said() -> None:
    with pytest.raises(LsrError, match=r"can't be reached .*: check the URL and the network"):
        read(as_place("http://127.0.0.1:9/a.txt"))


class _Answer(io.BytesIO):
    """An answer that says how long it is, or doesn't."""

    def __init__(self, content: bytes, length: int | None) -> None:
        super().__init__(content)
        self.length = length


def test_what_never_ends_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LARGEST_UNSIZED", 1 << 30)
    stream = web.WebStream(_Answer(b"x" * 100, None), "name")  # type: ignore[arg-type]
    stream._left = 50
    with pytest.raises(OSError, match="has no end within 1 GiB"):
        stream.read(100)
    times = iter([0.0, 100.0, 200.0])
    slow = web.WebStream(_Answer(b"x" * 100, 100), "name", clock=lambda: next(times))  # type: ignore[arg-type]
    assert slow.read(50) == b"x" * 50
    with pytest.raises(OSError, match="comes too slowly, 100 bytes in 200 s"):
        slow.read(50)


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    import urllib.request

    request = urllib.request.Request("https://host/a")
    with pytest.raises(LsrError, match="which is no https"):
        web._SafeRedirects().redirect_request(request, None, 302, "", {}, "http://host/a")


def test_hub_and_keys_of_any_name(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pyarrow import fs

    (tmp_path / "datasets" / "owner").mkdir(parents=True)
    (tmp_path / "datasets" / "owner" / "name").symlink_to(folder)
    monkeypatch.setattr(arrow_store, "_hub", lambda: fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    assert read(as_place("hf://datasets/owner/name"))[0] == read(folder)[0]

    def files(store: arrow_store.ArrowStore) -> Iterator[arrow_store.StoreFile]:
        for inside in ("../up.txt", "a//b.txt", "./c.txt", "line\nend.txt"):
            yield arrow_store.StoreFile("datasets/owner/name/a.txt", inside, 7)

    monkeypatch.setattr(arrow_store.ArrowStore, "files", files)
    (document,), report = read(as_place("hf://datasets/owner/name"))
    assert report.count_skipped(Reason.BAD_NAME) == 3
    assert document.text == "A lake."


class ConnectError(Exception):
    """An error as the hub's library has them."""


ConnectError.__module__ = "httpx2"


@pytest.mark.parametrize("url", ["hf://datasets/", "hf://datasets/a", "hf://x"])
def test_what_names_no_repository_of_the_hub_is_an_error(url: str) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(LsrError, match=r"the store doesn't answer as it should .*Repository id"):
        read(as_place(url))


def test_errors_of_the_hubs_library_are_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import fs

    def fail(*_: Any) -> Any:
        raise ConnectError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(arrow_store, "_hub", fail)
        with pytest.raises(LsrError, match=r"hf://datasets/a: the store doesn't answer .*no network"):
            read(as_place("hf://datasets/a"))
    monkeypatch.setattr(arrow_store, "_hub", lambda: fs.SubTreeFileSystem(str(folder.parent), fs.LocalFileSystem()))

    class Broken:
        readinto = fail

        def close(self) -> None:
            """Do nothing."""

    stream = arrow_store._Reads(Broken())
    with pytest.raises(OSError, match="ConnectError: no network"):
        stream.readinto(bytearray(4))
    monkeypatch.setattr(arrow_store._Reads, "readinto", lambda *_: _broken())
    with pytest.raises(BadDocumentError, match=r"a\.txt: can't be read: ConnectError"):
        read(as_place(f"hf://{folder.name}/a.txt"))


def _broken() -> int:
    raise OSError("ConnectError: no network")


def test_a_collection_of_ir_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ir_datasets = pytest.importorskip("ir_datasets", reason="ir_datasets is not installed")
    (tmp_path / "docs.tsv").write_text("d1\tThe river\nd2\tThe lake\n")
    (tmp_path / "queries.tsv").write_text("q1\triver\n")
    known = {
        "notes/all": ir_datasets.create_dataset(docs_tsv=str(tmp_path / "docs.tsv")),
        "notes/queries": ir_datasets.create_dataset(queries_tsv=str(tmp_path / "queries.tsv")),
    }
    monkeypatch.setattr(ir_datasets, "load", known.__getitem__)
    documents, report = read(as_place("ir_datasets:notes/all"))
    assert [(document.doc_id, document.text) for document in documents] == [("d1", "The river"), ("d2", "The lake")]
    assert report.documents == 2
    assert main(["index", "ir_datasets:notes/all", "--encoder", "bm25", "--index", str(tmp_path / "index")]) == 0
    with pytest.raises(LsrError, match="has no dataset 'none'"):
        read(as_place("ir_datasets:none"))
    with pytest.raises(LsrError, match="has no documents"):
        read(as_place("ir_datasets:notes/queries"))
