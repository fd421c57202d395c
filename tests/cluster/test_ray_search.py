"""A set searched by actors of a Ray cluster: the same answers; dead, hung and damaged shards are named, or left out."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from set_material import HYBRID, OPTIONS, QUERIES, Noise, make_one, make_set, shown

import lsr
from lsr.errors import ClusterError, ShardDamagedError, ShardLostError, UsageError
from lsr.indexer.shards.manifest import Partition
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.shards.gathered import GatheredSearcher
from lsr.query.shards.open import open_searcher

TRIES = 60


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("one") / "index"
    make_one(path)
    return Searcher(path, dense_encoder=Noise())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "set"
    make_set(path, Partition(3))
    return path


def by_actors(
    folder: Path, *, timeout_s: float = 60.0, partial: bool = False, actors: int | None = 3, **settings: Any
) -> GatheredSearcher:
    from lsr.cluster.shard_actors import RayActors

    found = open_searcher(
        folder, transport=RayActors(actors=actors, **settings), timeout_s=timeout_s,
        options=SearchOptions(partial=partial), dense_encoder=Noise(),
    )  # fmt: skip
    assert isinstance(found, GatheredSearcher)
    return found


def pids(searcher: GatheredSearcher) -> list[list[int]]:
    found: list[list[int]] = searcher._shards._connection.pids  # type: ignore[attr-defined]
    return found


def test_answers_are_those_of_one_index(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder)
    for name, options in (OPTIONS | HYBRID).items():
        for query in QUERIES if name not in HYBRID else QUERIES[:3]:
            assert shown(many, query, options) == shown(one, query, options), (name, query)
    batches = [
        [[(hit.doc_id, hit.score) for hit in found] for found in searcher.search(QUERIES, k=25)]
        for searcher in (many, one)
    ]
    assert batches[0] == batches[1]
    many.close()


def test_hash_partitions_are_the_same_through_the_public_interface(cluster: str, one: Searcher, tmp_path: Path) -> None:
    from lsr.cluster.shard_actors import RayActors

    make_set(tmp_path / "set", Partition(2, "hash"))
    with lsr.open(tmp_path / "set", transport=RayActors(cluster), timeout=60) as index:
        for query in QUERIES:
            ours, theirs = index.search(query, k=30, total=True), one.search(query, k=30, total=True)
            assert [(hit.doc_id, hit.score) for hit in ours] == [(hit.doc_id, hit.score) for hit in theirs]
            assert ours.total == theirs.total
            assert ours.exact
            assert ours.missing == ()


def test_a_dead_shard_is_named_left_out_and_comes_back(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder, restarts=1)
    name, n_docs = many._shards.places[1].name, many._shards.places[1].n_docs
    due = shown(one, "river", OPTIONS["plain"])
    os.kill(pids(many)[1][0], signal.SIGKILL)
    with pytest.raises(ShardLostError, match=f"{name}: .*died"):
        for _ in range(TRIES):  # a process may take a moment to die
            many.search("river", OPTIONS["plain"])
    for _ in range(TRIES):
        partial = many.search("river", OPTIONS["plain"].replace(partial=True))
        if not partial.missing:
            break
        assert [(one.name, one.n_docs) for one in partial.missing] == [(name, n_docs)]
        assert not partial.exact
    assert shown(many, "river", OPTIONS["plain"]) == due
    many.close()


def test_an_actor_that_has_several_shards_loses_all_of_them(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder, actors=2, restarts=0)
    assert [len(some) for some in pids(many)] == [1, 1]
    names = [place.name for place in many._shards.places]
    for name in ("plain", "explain", "sort", "feedback"):
        assert shown(many, "river", OPTIONS[name]) == shown(one, "river", OPTIONS[name])
    os.kill(pids(many)[1][0], signal.SIGKILL)
    with pytest.raises(ShardLostError, match=f"{names[1]}: .*died.*{names[2]}: .*died"):
        for _ in range(TRIES):
            many.search("river", OPTIONS["plain"])
    partial = many.search("river", OPTIONS["plain"].replace(partial=True))
    assert [shard.name for shard in partial.missing] == names[1:]
    many.close()


def test_one_actor_a_machine_by_default(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder, actors=None)
    assert len(pids(many)) == 1
    assert shown(many, "river", OPTIONS["plain"]) == shown(one, "river", OPTIONS["plain"])
    many.close()


@pytest.mark.parametrize(
    ("n_shards", "n_parts", "due"),
    [(1, 1, [[0]]), (5, 2, [[0, 1], [2, 3, 4]]), (3, 9, [[0], [1], [2]]), (3, 0, [[0, 1, 2]])],
)
def test_shards_are_shared_out(n_shards: int, n_parts: int, due: list[list[int]]) -> None:
    from lsr.cluster.shard_actors import joined, parted, parts_of

    assert [list(part) for part in parts_of(n_shards, n_parts)] == due
    replies = [b"", b"one", bytes(1000)]
    assert parted(joined(replies), 3) == replies
    assert parted(b"alone", 1) == [b"alone"]


def test_a_hung_shard_costs_the_timeout_and_is_named(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder, timeout_s=1.0, partial=True)
    (pid,) = pids(many)[2]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ShardLostError, match="0002: no answer within 1 s"):
            many.search("river", partial=False)
        found = many.search("river", k=30)
        assert [shard.name[-4:] for shard in found.missing] == ["0002"]
        assert "without shard-00000001-0002" in repr(found)
        there = {hit.doc_id for hit in one.search("river", k=200)} & {hit.doc_id for hit in found}
        assert there == {hit.doc_id for hit in found}
    finally:
        os.kill(pid, signal.SIGCONT)
    many.close()


def test_another_replica_answers_for_one_that_hangs_or_dies(cluster: str, one: Searcher, folder: Path) -> None:
    many = by_actors(folder, timeout_s=4.0, replicas=2, restarts=0)
    due = shown(one, "lake sea", OPTIONS["plain"])
    for place, sign in ((0, signal.SIGKILL), (1, signal.SIGSTOP)):
        os.kill(pids(many)[place][place], sign)
    try:
        for _ in range(2):
            assert shown(many, "lake sea", OPTIONS["plain"]) == due
    finally:
        os.kill(pids(many)[1][1], signal.SIGCONT)
    many.close()


def test_a_damaged_shard_is_named_by_its_actor(cluster: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "set"
    shutil.copytree(folder, path)
    many = by_actors(path)
    damaged = many._shards.places[1].name
    for file in (path / damaged).rglob("documents.arrow"):
        file.write_bytes(file.read_bytes()[:-9])
    many = by_actors(path, partial=True)
    assert [shard.name for shard in many.missing] == [damaged]  # seen when it was opened
    with pytest.raises(ShardDamagedError, match=damaged) as raised:
        many.search("river", partial=False)
    assert raised.value.exit_code == 3
    assert [shard.name for shard in many.search("river").missing] == [damaged]
    many.close()


def test_what_cannot_be_is_refused(cluster: str, one: Searcher, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from lsr.cluster import session
    from lsr.cluster.shard_actors import RayActors

    with pytest.raises(UsageError, match="is a single index"):
        open_searcher(one.index.path, transport=RayActors())
    with pytest.raises(UsageError, match="replicas is 0"):
        RayActors(replicas=0)
    with pytest.raises(UsageError, match="actors is 0"):
        RayActors(actors=0)
    with pytest.raises(UsageError, match="restarts is -2"):
        RayActors(restarts=-2)
    with pytest.raises(UsageError, match="a transport to shards"):
        lsr.open(folder, timeout=3)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        session.connected("127.0.0.1:9")
    with pytest.raises(UsageError, match="HOST:PORT"):
        session.connected("nowhere")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lsr.cluster.session import connected

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(lsr.LsrError, match=r"pip install 'lsr-search\[ray\]'"):
        connected()


def test_a_death_is_waited_for_as_long_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.cluster.session import DEATH_WAIT, ray_module

    pytest.importorskip("ray", reason="needs Ray: pip install 'lsr-search[ray]'")
    name, default = DEATH_WAIT
    monkeypatch.delenv(name, raising=False)
    ray_module()
    assert os.environ[name] == default
    monkeypatch.setenv(name, "700")
    ray_module()
    assert os.environ[name] == "700"
