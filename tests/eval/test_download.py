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
from typing import Any

import pytest

from lsr.errors import LsrError
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
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stall: threading.Event | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.asked.append(wanted)
            if behaviour.stall:
                behaviour.stall.wait(10)
                return
            if behaviour.statuses:
                self.send_error(behaviour.statuses.pop(0))
                return
            start = int(wanted.split("=")[1].split("-")[0]) if wanted and behaviour.ranges else 0
            size = len(behaviour.content)
            if start >= size:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            end = start + behaviour.break_after.pop(0) if behaviour.break_after else size
            self.wfile.write(behaviour.content[start:end])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/tiny.zip", behaviour
        http.shutdown()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def fetch(url: str, folder: Path, **options: Any) -> Path:
    return fetch_dataset(
        "tiny", folder, **{"url": url, "md5": md5(WHOLE), "pause_s": 0.0, "timeout_s": 60.0, **options}
    )


def test_a_dataset_is_fetched_checked_and_unpacked_once(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    seen: list[tuple[int, int | None]] = []
    folder = fetch(url, tmp_path / "new" / "cache", progress=lambda have, whole: seen.append((have, whole)))
    assert (folder / "corpus.jsonl").read_bytes() == CORPUS
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny", "tiny.lock"]
    assert seen[-1] == (len(WHOLE), len(WHOLE))
    assert fetch(url, folder.parent) == folder
    assert len(behaviour.asked) == 1


def test_a_line_that_breaks_off_is_taken_up_where_it_broke(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.break_after = [300_000, 100_000]
    assert (fetch(url, tmp_path) / "corpus.jsonl").read_bytes() == CORPUS
    assert behaviour.asked == [None, "bytes=300000-", "bytes=400000-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.break_after = [1000]
    with pytest.raises(LsrError, match=r"1000 bytes are kept.*run the same command again"):
        fetch(url, tmp_path, tries=1)
    assert not (tmp_path / "tiny").exists()
    assert (fetch(url, tmp_path) / "corpus.jsonl").read_bytes() == CORPUS
    assert behaviour.asked == [None, "bytes=1000-"]


def test_a_server_without_ranges_starts_over(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.ranges, behaviour.break_after = False, [5000]
    assert (fetch(url, tmp_path) / "corpus.jsonl").read_bytes() == CORPUS


def test_a_partial_file_that_was_whole_already_is_used(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, _ = server
    (tmp_path / "tiny.zip.part").write_bytes(WHOLE)
    assert (fetch(url, tmp_path) / "corpus.jsonl").read_bytes() == CORPUS


def test_a_wrong_checksum_is_an_error_and_the_broken_file_goes(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, _ = server
    (tmp_path / "tiny.zip.part").write_bytes(b"garbage")
    with pytest.raises(LsrError, match="the checksum is"):
        fetch(url, tmp_path)
    assert not (tmp_path / "tiny").exists() and not (tmp_path / "tiny.zip.part").exists()
    assert fetch(url, tmp_path).is_dir()


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.statuses = [503, 429]
    assert fetch(url, tmp_path).is_dir()
    behaviour.statuses, behaviour.asked = [404], []
    with pytest.raises(LsrError, match="404 Not Found"):
        fetch(url, tmp_path / "other")
    assert len(behaviour.asked) == 1


def test_a_silent_server_times_out(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.stall = threading.Event()
    with pytest.raises(LsrError, match="timed out"):
        fetch(url, tmp_path, timeout_s=0.2, tries=2)
    behaviour.stall.set()


@pytest.mark.parametrize("name", ["../evil.txt", "tiny/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_an_archive_can_not_reach_out_of_its_folder(server: tuple[str, Behaviour], tmp_path: Path, name: str) -> None:
    url, behaviour = server
    behaviour.content = archive({"tiny/corpus.jsonl": b"x", name: b"evil"})
    with pytest.raises(LsrError, match="reach out of the dataset's folder"):
        fetch(url, tmp_path / "cache", md5=None)
    assert not list(tmp_path.rglob("*evil*")) and not (tmp_path / "cache" / "tiny").exists()


def test_links_in_an_archive_are_refused(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        link = zipfile.ZipInfo("tiny/link")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc")
    behaviour.content = buffer.getvalue()
    with pytest.raises(LsrError, match="reach out"):
        fetch(url, tmp_path, md5=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not a zip", "no whole zip"), (WHOLE[:-100], "no whole zip"), (archive({"a/b": b""}), "no folder 'tiny' in it")],
)
def test_broken_archives_leave_no_dataset(
    server: tuple[str, Behaviour], tmp_path: Path, content: bytes, message: str
) -> None:
    url, behaviour = server
    behaviour.content = content
    with pytest.raises(LsrError, match=message):
        fetch(url, tmp_path, md5=None)
    assert not (tmp_path / "tiny").exists()


def test_names_and_addresses_are_checked(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match=r"neither a folder nor a BEIR dataset.*scifact"):
        fetch_dataset("scifract", tmp_path)
    with pytest.raises(LsrError, match="only http"):
        fetch("file:///etc/passwd", tmp_path)
    with pytest.raises(LsrError, match="can't name"):
        fetch_dataset("../x", tmp_path, url="http://127.0.0.1:9/")


def test_every_archive_has_a_checksum() -> None:
    assert len(BEIR_MD5) == 15
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in BEIR_MD5.values())


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert dataset_cache() == tmp_path / "lsr" / "datasets"
