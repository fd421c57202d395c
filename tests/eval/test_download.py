"""Downloads against a server on this machine that breaks off, lies and refuses."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsr.errors import LsrError
from lsr.eval.data import download
from lsr.eval.data.archives import BEIR_MD5
from lsr.eval.data.download import dataset_cache, fetch_dataset


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return buffer.getvalue()


CORPUS = bytes(range(256)) * 2000
WHOLE = archive({"tiny/corpus.jsonl": CORPUS, "tiny/qrels/test.tsv": b"x", "tiny/queries.jsonl": b"y"})


@dataclass
class Behaviour:
    content: bytes = WHOLE
    break_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stall: threading.Event | None = None
    n_asked: int = 0


class Listener:
    """Progress that is kept: the bytes shown so far, after each step."""

    def __init__(self) -> None:
        self.shown = [0]

    def start(self, stage: str, total: int | None, unit: str) -> None:
        assert (stage, unit) == ("downloading tiny", "B")

    def advance(self, n: int) -> None:
        self.shown.append(self.shown[-1] + n)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behaviour]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            assert self.path == "/tiny.zip"
            behaviour.n_asked += 1
            if behaviour.stall:
                behaviour.stall.wait(10)
                return
            if behaviour.statuses:
                self.send_error(behaviour.statuses.pop(0))
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(behaviour.content)))
            self.end_headers()
            self.wfile.write(behaviour.content[: behaviour.break_after.pop(0) if behaviour.break_after else None])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setattr(download, "BEIR_URL", f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setitem(BEIR_MD5, "tiny", md5(WHOLE))
        monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
        yield behaviour
        http.shutdown()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_dataset_is_fetched_checked_and_unpacked_once(server: Behaviour, tmp_path: Path) -> None:
    listener = Listener()
    folder = fetch_dataset("tiny", tmp_path / "new" / "cache", progress=listener)
    assert (folder / "corpus.jsonl").read_bytes() == CORPUS
    assert names(folder.parent) == ["tiny", "tiny.lock"]
    assert listener.shown[-1] == len(WHOLE)
    assert fetch_dataset("tiny", folder.parent) == folder
    assert server.n_asked == 1


def test_a_line_that_breaks_off_starts_over(server: Behaviour, tmp_path: Path) -> None:
    server.break_after = [300_000, 100_000]
    assert (fetch_dataset("tiny", tmp_path) / "corpus.jsonl").read_bytes() == CORPUS
    assert server.n_asked == 3 and names(tmp_path) == ["tiny", "tiny.lock"]


def test_a_line_that_always_breaks_off_leaves_nothing(server: Behaviour, tmp_path: Path) -> None:
    server.break_after = [1000] * 5
    with pytest.raises(LsrError, match=r"not downloaded in 5 attempts.*give the folder"):
        fetch_dataset("tiny", tmp_path)
    assert server.n_asked == 5 and names(tmp_path) == ["tiny.lock"]
    assert (fetch_dataset("tiny", tmp_path) / "corpus.jsonl").read_bytes() == CORPUS


def test_a_wrong_checksum_is_an_error(server: Behaviour, tmp_path: Path) -> None:
    server.content = archive({"tiny/corpus.jsonl": b"another"})
    with pytest.raises(LsrError, match="does not match"):
        fetch_dataset("tiny", tmp_path)
    assert names(tmp_path) == ["tiny.lock"]


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(server: Behaviour, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert fetch_dataset("tiny", tmp_path).is_dir()
    server.statuses, server.n_asked = [404], 0
    with pytest.raises(LsrError, match="404 Not Found"):
        fetch_dataset("tiny", tmp_path / "other")
    assert server.n_asked == 1


def test_a_silent_server_times_out(server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.stall = threading.Event()
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(download, "TRIES", 2)
    with pytest.raises(LsrError, match="timed out"):
        fetch_dataset("tiny", tmp_path)
    server.stall.set()


def test_a_full_disk_is_said_before_it_is_full(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(LsrError, match=f"{len(WHOLE)} bytes are needed and 1000 are free"):
        fetch_dataset("tiny", tmp_path)
    assert names(tmp_path) == ["tiny.lock"]


def serve(server: Behaviour, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server give other content, and BEIR's checksum be that of it."""
    server.content = content
    monkeypatch.setitem(BEIR_MD5, "tiny", md5(content))


@pytest.mark.parametrize("name", ["../evil.txt", "tiny/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_an_archive_can_not_reach_out_of_its_folder(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    serve(server, archive({"tiny/corpus.jsonl": b"x", name: b"evil"}), monkeypatch)
    with pytest.raises(LsrError, match="reach out of the dataset's folder"):
        fetch_dataset("tiny", tmp_path / "cache")
    assert not list(tmp_path.rglob("*evil*")) and not (tmp_path / "cache" / "tiny").exists()


def test_links_in_an_archive_are_refused(server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        link = zipfile.ZipInfo("tiny/link")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc")
    serve(server, buffer.getvalue(), monkeypatch)
    with pytest.raises(LsrError, match="reach out"):
        fetch_dataset("tiny", tmp_path)


def lying_about_its_size() -> bytes:
    """An archive whose directory says that the corpus has ten bytes."""
    content, size = bytearray(WHOLE), len(CORPUS).to_bytes(4, "little")
    at = content.index(size, content.index(b"PK\x01\x02"))
    content[content.index(size, at + 1) : content.index(size, at + 1) + 4] = (10).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a zip", "no whole zip"),
        (WHOLE[:-100], "no whole zip"),
        (lying_about_its_size(), "no whole zip"),
        (archive({"a/b": b""}), "no folder 'tiny' in it, but a"),
    ],
)
def test_broken_archives_leave_no_dataset(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    serve(server, content, monkeypatch)
    with pytest.raises(LsrError, match=message):
        fetch_dataset("tiny", tmp_path)
    assert names(tmp_path) == ["tiny.lock"]


@pytest.mark.parametrize("name", ["scifract", "../x", "", "."])
def test_names_that_beir_lacks_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LsrError, match=r"neither a folder nor a BEIR dataset.*scifact"):
        fetch_dataset(name, tmp_path)


def test_every_archive_has_a_checksum() -> None:
    assert len(BEIR_MD5) == 15
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in BEIR_MD5.values())


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LSR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert dataset_cache() == tmp_path / "lsr" / "datasets"
