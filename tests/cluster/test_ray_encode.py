"""Encoding and building on a Ray cluster: every document once, whatever is killed, and the values of one process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from set_material import DOCUMENTS, QUERIES, READER, WORDS, Noise, shown

from lsr.encoders.registry import load_encoder
from lsr.errors import ClusterError
from lsr.indexer.encode import units
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import Document

OF_A_UNIT = 48
N_DOCS = 20 * OF_A_UNIT
TEXTS = [
    Document(f"d{i}", " ".join(WORDS[(i * 5 + j * j) % 8] for j in range(12)), f"title {i}", {"year": 2000 + i % 9})
    for i in range(N_DOCS)
]
ENCODER = "fast"

DRIVER = """
import json, sys
from pathlib import Path
from lsr.indexer.encode import units
units.SHARD_DOCUMENTS = {unit}
from lsr.cluster.encode_actors import EncoderSpec, RayEncoders
from lsr.encoders.registry import load_encoder
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.types import Document

class Said:
    def start(self, *_): print("started", flush=True)
    def advance(self, n): print("done", n, flush=True)

documents = [Document(*row) for row in json.loads(Path(sys.argv[1]).read_text())]
workers = RayEncoders({address!r}, EncoderSpec({encoder!r}), workers=2)
print("pids", *workers.pids, flush=True)
out = Path(sys.argv[2])
found = encode_corpus(documents, load_encoder({encoder!r}), out, window=16, workers=workers, progress=Said())
print("ended", found.n_docs, found.n_resumed, flush=True)
"""

BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from set_material import Partition, index_documents, load_encoder, make
from lsr.cluster.build_tasks import RayBuilders
options = dict(shards=Partition(3), builders=RayBuilders({address!r}, 3), overwrite=True)
print("connected", flush=True)
index_documents([make(i) for i in range(4000)], Path(sys.argv[1]), load_encoder("bm25"), **options)
print("ended")
"""


@pytest.fixture(scope="module")
def small_units() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "SHARD_DOCUMENTS", OF_A_UNIT)
        patch.setattr("lsr.indexer.encode.resumable_job.SHARD_DOCUMENTS", OF_A_UNIT)
        yield


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory, small_units: None) -> Mapping[str, Any]:
    """The shards of one process, by name."""
    folder = tmp_path_factory.mktemp("due")
    encode_corpus(TEXTS, load_encoder(ENCODER), folder, window=16)
    found = contents(folder)
    assert len(found) == N_DOCS // OF_A_UNIT
    return found


def contents(folder: Path) -> dict[str, Any]:
    return {path.name: pq.read_table(path).to_pydict() for path in sorted(folder.glob("*.parquet"))}


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("*.parquet")}


def start(cluster: str, folder: Path) -> subprocess.Popen[str]:
    texts = folder.with_suffix(".json")
    texts.write_text(json.dumps([(one.doc_id, one.text, one.title, dict(one.fields)) for one in TEXTS]))
    script = DRIVER.format(unit=OF_A_UNIT, address=cluster, encoder=ENCODER)
    return subprocess.Popen([sys.executable, "-c", script, str(texts), str(folder)], stdout=subprocess.PIPE, text=True)


def ended(driver: subprocess.Popen[str]) -> tuple[int, int]:
    """Return the documents, and those that were resumed."""
    assert driver.stdout is not None
    line = next(line for line in driver.stdout if line.startswith("ended"))
    assert driver.wait() == 0
    return tuple(map(int, line.split()[1:]))  # type: ignore[return-value]


def lines_until(driver: subprocess.Popen[str], word: str, n: int = 1) -> list[str]:
    """Read what a driver says until the n-th line that begins with a word."""
    assert driver.stdout is not None
    found: list[str] = []
    for line in driver.stdout:
        found.append(line.strip())
        if sum(one.startswith(word) for one in found) == n:
            break
    return found


def test_a_killed_driver_loses_no_unit_and_none_is_encoded_twice(
    cluster: str, due: Mapping[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    driver = start(cluster, folder)
    lines_until(driver, "done", 4)
    driver.kill()
    driver.wait()
    there = inodes(folder)
    assert 4 <= len(there) < len(due)
    n_docs, n_resumed = ended(start(cluster, folder))
    assert contents(folder) == due
    assert n_docs == N_DOCS
    assert n_resumed >= len(there) * OF_A_UNIT
    assert {name: inode for name, inode in inodes(folder).items() if name in there} == there


def test_a_killed_worker_is_replaced(cluster: str, due: Mapping[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    driver = start(cluster, folder)
    pids = lines_until(driver, "pids")[-1].split()[1:]
    lines_until(driver, "done", 2)
    os.kill(int(pids[0]), signal.SIGKILL)
    assert ended(driver)[0] == N_DOCS
    assert contents(folder) == due
    assert not list(folder.glob("*.tmp"))


@pytest.mark.large
@pytest.mark.timeout(0)
def test_twenty_kills_at_random_moments(cluster: str, due: Mapping[str, Any], tmp_path: Path) -> None:
    rng = random.Random(7)
    n_kills = rounds = 0
    while n_kills < 24:
        folder = tmp_path / f"out{rounds}"
        rounds += 1
        there: dict[str, int] = {}
        while True:
            driver = start(cluster, folder)
            pids = [int(pid) for pid in lines_until(driver, "pids")[-1].split()[1:]]
            victim = rng.choice([driver.pid, *pids])
            killed: list[bool] = []
            killer = threading.Timer(rng.random() * 0.4, lambda of=victim, into=killed: into.append(_kill(of)))
            killer.start()
            output = driver.stdout.read() if driver.stdout is not None else ""
            code = driver.wait()
            killer.join()
            n_kills += sum(killed)
            after = inodes(folder)
            assert {name: after.get(name) for name in there} == there  # no finished unit is written again
            there = after
            if code == 0:
                assert f"ended {N_DOCS}" in output
                break
        assert contents(folder) == due
    sys.stdout.write(f"{n_kills} kills in {rounds} jobs: every document once, values equal, nothing encoded twice\n")


def _kill(pid: int) -> bool:
    """Kill a process, and tell whether it was still there: not one that had ended and waits for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][:1]
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_one_process_fills_the_holes_that_others_left(
    due: Mapping[str, Any], tmp_path: Path, small_units: None
) -> None:
    encode_corpus(TEXTS, load_encoder(ENCODER), tmp_path, window=16)
    holes = sorted(tmp_path.glob("*.parquet"))
    for number in (0, 3, 4, 19):
        holes[number].unlink()
    kept = inodes(tmp_path)
    found = encode_corpus(TEXTS, load_encoder(ENCODER), tmp_path, window=16)
    assert found.n_resumed == N_DOCS - 4 * OF_A_UNIT
    assert contents(tmp_path) == due
    assert {name: inode for name, inode in inodes(tmp_path).items() if name in kept} == kept


def test_workers_that_load_nothing_say_so(cluster: str) -> None:
    from lsr.cluster.encode_actors import EncoderSpec, RayEncoders

    with pytest.raises(ClusterError, match="a worker can't load the encoder"):
        RayEncoders(cluster, EncoderSpec("no/such/model/here"), workers=1)


@pytest.mark.parametrize("partition", [Partition(3), Partition(3, "hash")], ids=str)
def test_shards_that_tasks_build_are_those_of_one_process(cluster: str, tmp_path: Path, partition: Partition) -> None:
    from lsr.cluster.build_tasks import RayBuilders

    builders = RayBuilders(cluster, partition.shards)
    for name, given in (("here", None), ("there", builders)):
        index_documents(
            DOCUMENTS, tmp_path / name, load_encoder("bm25"), dense=Noise(), reader=READER, shards=partition,
            builders=given, limits=SegmentLimits(n_docs=50),
        )  # fmt: skip
    here, there = (Searcher(tmp_path / name, dense_encoder=Noise()) for name in ("here", "there"))
    assert list(there.index.documents()) == list(here.index.documents())
    assert [len(shard) for shard in there.index.shards] == [len(shard) for shard in here.index.shards]
    for query in QUERIES:
        for options in (SearchOptions(k=50, explain=True), SearchOptions(k=9, total=True, sort="year")):
            assert shown(there, query, options) == shown(here, query, options)
    assert set(builders.reports) == {shard.path.name for shard in there.index.shards}
    assert sorted(path.name for path in (tmp_path / "there").iterdir() if path.name.startswith(".")) == sorted(
        path.name for path in (tmp_path / "here").iterdir() if path.name.startswith(".")
    )


@pytest.mark.large
@pytest.mark.timeout(0)
def test_builds_survive_kills_at_random_moments(cluster: str, tmp_path: Path) -> None:
    """A build whose driver was killed is begun again; a killed task is tried again by Ray."""
    script = BUILD.format(address=cluster)
    rng, n_kills, rounds = random.Random(3), 0, 0
    material = str(Path(__file__).parent.parent / "shards")
    while n_kills < 10:
        path = tmp_path / f"set{rounds}"
        rounds += 1
        command = [sys.executable, "-c", script, str(path), material]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines_until(driver, "connected")
        time.sleep(2.5 * rng.random())
        victims = [driver.pid, *_tasks()]
        n_kills += _kill(rng.choice(victims))
        output = driver.stdout.read() if driver.stdout is not None else ""
        if driver.wait() != 0:
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "ended" in output
        assert len(Searcher(path).index) == 4000
    sys.stdout.write(f"{n_kills} kills in {rounds} builds: every set whole\n")


def _tasks() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"ray::_run"):
                found.append(int(entry.name))
    return found
