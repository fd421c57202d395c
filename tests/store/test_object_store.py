"""Indexes in object stores: seen whole or not at all, downloaded once, and believed in nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import lsr
from lsr.cli.main import main
from lsr.errors import IndexDamagedError, IndexExistsError, IndexMissingError, LsrError, UsageError
from lsr.indexer.transfer import download, publish
from lsr.indexer.transfer.download import download_index
from lsr.indexer.transfer.object_store import ObjectStore
from lsr.indexer.transfer.publish import publish_index

pytest.importorskip("obstore")

NOTES = [{"id": f"n{i}", "text": f"river {'lake ' * (i % 4)} mill{i % 3}"} for i in range(40)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by LSR_CACHE, in which compiled kernels lie too.
    monkeypatch.setattr(download, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module", params=["index", "hash"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index and a set, of which each test gets a copy."""
    options: dict[str, Any] = {} if request.param == "index" else {"shards": 3, "partition": request.param}
    path = tmp_path_factory.mktemp(request.param) / "notes"
    lsr.index(NOTES, path, encoder="bm25", **options).close()
    return path


@pytest.fixture
def index(made: Path, tmp_path: Path) -> lsr.Index:
    return lsr.open(shutil.copytree(made, tmp_path / "notes"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket/notes"


def answers(index: lsr.Index) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in index.search("lake mill1", k=30)]


def test_what_is_published_is_opened_elsewhere(index: lsr.Index, url: str) -> None:
    published = publish_index(index.path, url)
    assert (published.n_docs, published.generation) == (40, 1)
    first = download_index(url)
    assert first.n_bytes >= published.n_bytes > 0
    assert download_index(url).n_bytes == 0
    with lsr.open(url) as copy:
        assert answers(copy) == answers(index)
        assert copy.check().sound
        assert list(copy) == list(index)


def test_a_change_sends_and_brings_what_is_new(index: lsr.Index, url: str) -> None:
    everything = publish_index(index.path, url).n_bytes
    download_index(url)
    assert publish_index(index.path, url).n_bytes == 0
    index.delete(["n3"])
    index.delete(["n4"])
    sent = publish_index(index.path, url).n_bytes
    assert sent > 0
    assert download_index(url).n_bytes <= everything + sent
    with lsr.open(url) as copy:
        assert answers(copy) == answers(index)
        assert copy.check().sound


def test_a_publication_that_ends_early_is_not_seen(index: lsr.Index, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    puts = 0
    put = ObjectStore.put

    def failing(store: ObjectStore, key: str, content: Any) -> None:
        nonlocal puts
        puts += 1
        if puts == 9:
            raise KeyboardInterrupt
        put(store, key, content)

    monkeypatch.setattr(ObjectStore, "put", failing)
    with pytest.raises(KeyboardInterrupt):
        publish_index(index.path, url)
    with pytest.raises(IndexMissingError, match="no index at"):
        lsr.open(url)
    publish_index(index.path, url)
    assert answers(lsr.open(url)) == answers(index)


def test_of_two_writers_one_wins(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = [lsr.index(NOTES[:n], tmp_path / str(n), encoder="bm25") for n in (10, 20)]
    create = ObjectStore.create

    def overtaken(store: ObjectStore, key: str, content: bytes) -> None:
        monkeypatch.setattr(ObjectStore, "create", create)
        publish_index(indexes[1].path, url)
        create(store, key, content)

    monkeypatch.setattr(ObjectStore, "create", overtaken)
    with pytest.raises(IndexExistsError, match="another writer"):
        publish_index(indexes[0].path, url)
    assert len(lsr.open(url)) == 20
    with pytest.raises(IndexExistsError, match=r"has another manifest-00000001\.json"):
        publish_index(indexes[0].path, url)


def test_a_flipped_byte_is_refused(index: lsr.Index, url: str, tmp_path: Path) -> None:
    publish_index(index.path, url)
    file = max((tmp_path / "bucket").rglob("documents.arrow"), key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexDamagedError, match=r"documents.arrow: not what its manifest says"):
        lsr.open(url)
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert answers(lsr.open(url)) == answers(index)


def test_a_manifest_of_any_size_is_not_read(index: lsr.Index, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_index(index.path, url)
    monkeypatch.setattr("lsr.indexer.transfer.object_store.LARGEST_READ", 100)
    with pytest.raises(LsrError, match="more than a manifest may have"):
        lsr.open(url)


def test_another_manifest_of_a_shard_is_refused(tmp_path: Path, url: str) -> None:
    index = lsr.index(NOTES, tmp_path / "notes", encoder="bm25", shards=2)
    publish_index(index.path, url)
    file = next((tmp_path / "bucket").rglob("shard-*/manifest-*.json"))
    file.write_bytes(file.read_bytes().replace(b'"created"', b'"Created"'))
    with pytest.raises(IndexDamagedError, match="not the one that its set names"):
        lsr.open(url)


def test_places_of_sources_stay_here(tmp_path: Path, url: str) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a river")
    assert main(["index", str(tmp_path / "texts"), "--encoder", "bm25", "--index", str(tmp_path / "own")]) == 0
    publish_index(tmp_path / "own", url)
    content = b"".join(path.read_bytes() for path in (tmp_path / "bucket").rglob("*") if path.is_file())
    assert str(tmp_path / "texts").encode() not in content
    assert len(lsr.open(url)) == 1


def test_the_commands(index: lsr.Index, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", url, "--index", str(index.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 40
    assert main(["search", "lake mill1", "--index", url, "--json", "-k", "3"]) == 0
    found = [json.loads(line)["doc_id"] for line in capsys.readouterr().out.splitlines()]
    assert found == [doc_id for doc_id, _ in answers(index)[:3]]
    assert main(["delete", "n1", "--index", url]) == 2
    assert "is changed where it was made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("ftp://host/a", UsageError, "stores are reached by"),
        ("s3://[bucket/a", UsageError, "is no URL"),
        ("file:///nowhere/at #2/all", UsageError, "write %23"),
        ("s3://bucket/a#", UsageError, "write %23"),
        ("file://nowhere/at/all", UsageError, "three slashes, as file:///nowhere/at/all"),
        ("s3://bucket/a?nothing=1", UsageError, "no option 'nothing'"),
        ("file:///nowhere/at/all", LsrError, "nowhere"),
    ],
)
def test_other_urls_are_refused(url: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lsr.open(url)
    assert not Path("/nowhere").exists()  # to open a place doesn't make it


def test_a_folder_of_any_name_is_published_to(index: lsr.Index, tmp_path: Path) -> None:
    place = tmp_path / "a b#1%?"
    url, others = f"file://{quote(str(place))}", set(tmp_path.iterdir())
    assert main(["publish", url, "--index", str(index.path)]) == 0
    assert any(place.glob("**/*")) and set(tmp_path.iterdir()) - others == {place}
    assert answers(lsr.open(url)) == answers(index)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A stand-in for S3 in this process."""
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    boto3 = pytest.importorskip("boto3")
    server = server_of(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield f"s3://bucket/notes-{{}}?endpoint=http://{host}:{port}"
    server.stop()


def test_s3(index: lsr.Index, bucket: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    url = bucket.format(request.node.callspec.id)
    publish_index(index.path, url)
    assert answers(lsr.open(url)) == answers(index)
    assert download_index(url).n_bytes == 0
    index.delete(["n1"])
    publish_index(index.path, url)
    assert answers(lsr.open(url)) == answers(index)
    monkeypatch.setattr(publish, "_published_already", lambda store, _, last, content: store.create(last, content))
    with pytest.raises(LsrError, match="is there already"):
        publish_index(index.path, url)
    with pytest.raises(LsrError, match=r"NoSuchBucket|refuses|doesn't answer|not there|no index"):
        lsr.open(url.replace("s3://bucket/", "s3://other-bucket/"))


KILLED = """
import os, signal, sys
from lsr.indexer.transfer.object_store import ObjectStore
from lsr.indexer.transfer.publish import publish_index

puts, put = 0, ObjectStore.put


class Ending:
    def __init__(self, file):
        self.file = file

    def read(self, size=-1):
        os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name):
        return getattr(self.file, name)


def dying(store, key, content):
    global puts
    puts += 1
    put(store, key, Ending(content) if puts == 6 else content)


ObjectStore.put = dying
publish_index(sys.argv[1], sys.argv[2])
"""


def test_a_killed_upload_leaves_nothing_that_is_seen(
    index: lsr.Index, bucket: str, request: pytest.FixtureRequest
) -> None:
    url = bucket.format(f"killed-{request.node.callspec.id}")
    done = subprocess.run([sys.executable, "-c", KILLED, str(index.path), url], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    there = ObjectStore(url).entries()
    files = {path.relative_to(index.path).as_posix(): path for path in index.path.rglob("*") if path.is_file()}
    assert len(there) == 5
    assert all(entry.size_bytes == files[entry.key].stat().st_size for entry in there)
    assert not [entry for entry in there if entry.key.endswith(".json")]
    with pytest.raises(IndexMissingError, match="no index at"):
        lsr.open(url)
    publish_index(index.path, url)
    assert answers(lsr.open(url)) == answers(index)
