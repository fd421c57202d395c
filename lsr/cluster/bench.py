"""Times of sets on a Ray cluster beside one process: `python -m lsr.cluster.bench search|build|failures FOLDER`.

FOLDER holds a collection of `lsr bench` (docs.npz, queries.npz). Sets are made once, in FOLDER/sets. Both sides of a
comparison are timed in turns. The cluster is the one that runs on this machine, or one that is started for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.cluster.build_tasks import RayBuilders
from lsr.cluster.session import connected
from lsr.cluster.shard_actors import Actors, RayActors
from lsr.errors import ShardLostError
from lsr.eval.bench.collection import SparseCollection, load_collection
from lsr.indexer.shards.manifest import Partition, is_set
from lsr.indexer.shards.writer import SetWriter
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.io.cores import available_cores
from lsr.query.engine.compile_ahead import COMPILING
from lsr.query.searcher import Searcher
from lsr.query.shards.gathered import GatheredSearcher, SetSearcher
from lsr.query.shards.open import open_searcher
from lsr.query.shards.threads import AT_A_TIME
from lsr.types import SparseBatch

K = 10
WARMING = 20
"""Queries that a side answers in a row; its first ones aren't counted."""
CALL_BYTES = 600
"""Size of the request and the reply of a query of 24 terms, about."""
SHARED = ((1, 1), (4, 1), (4, 4))
"""Numbers of shards, and of actors that share them."""
BUILT_SHARDS = 4


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m lsr.cluster.bench", description=__doc__)
    parser.add_argument("what", choices=("search", "build", "failures"))
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=500)
    args = parser.parse_args()
    collection = load_collection(args.folder)
    {"search": time_searches, "build": time_builds, "failures": time_failures}[args.what](args, collection)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def make_set(collection: SparseCollection, path: Path, n_shards: int, builders: Any = None) -> float:
    """Make a set of the collection, and return the seconds that it took."""
    encoder = ReadyVectors()
    for term_id in range(collection.documents.vocab_size):
        encoder.term_id(str(term_id))
    began = time.perf_counter()
    with SetWriter(
        path, encoder, Partition(n_shards), threads=available_cores(), overwrite=True, builders=builders
    ) as writer:  # fmt: skip
        for batch, vectors in collection.batches():
            writer.add(batch, vectors)
        writer.commit()
    return time.perf_counter() - began


def _set_at(args: argparse.Namespace, collection: SparseCollection, n_shards: int) -> Path:
    path: Path = args.folder / "sets" / f"of-{n_shards}"
    if not is_set(path):
        make_set(collection, path, n_shards)
    return path


def _by_actors(path: Path, **settings: Any) -> GatheredSearcher:
    timeout_s = settings.pop("timeout_s", 60.0)
    found = open_searcher(path, transport=RayActors(**settings), timeout_s=timeout_s)
    assert isinstance(found, GatheredSearcher)
    return found


def _times(
    sides: Mapping[str, Searcher], given: Sequence[Any], do: Callable[[Searcher, Any], Any], *, at_once: int = 1
) -> dict[str, list[float]]:
    """Do the same on all sides, `at_once` in a row, in turns, and return the seconds. The first turn warms up."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for first in range(0, len(given), at_once):
        for name, searcher in sides.items():
            for value in given[first : first + at_once]:
                began = time.perf_counter()
                do(searcher, value)
                found[name].append(time.perf_counter() - began)
    return {name: seconds[at_once:] for name, seconds in found.items()}


def time_calls(n_actors: int, n: int) -> float:
    """Return the median seconds of calls of Ray that do nothing, one to each of some actors at a time."""
    ray = connected()

    def empty(_: Any, request: bytes) -> bytes:
        return request

    actor = ray.remote(type("Empty", (), {"answer": empty})).options(num_cpus=0, max_concurrency=AT_A_TIME)
    actors = [actor.remote() for _ in range(n_actors)]
    request, seconds = bytes(CALL_BYTES), []
    for _ in range(n):
        began = time.perf_counter()
        ray.get([each.answer.remote(request) for each in actors])
        seconds.append(time.perf_counter() - began)
    for each in actors:
        ray.kill(each)
    return statistics.median(seconds[WARMING:])


def time_searches(args: argparse.Namespace, collection: SparseCollection) -> None:
    """Time one query, and a batch of all, in process and by actors."""
    queries = _queries(collection.queries, args.queries)
    _say(f"{collection.name}: {len(collection.documents):,} documents, {len(queries)} queries, k = {K}")
    for n_shards, n_actors in SHARED:
        path = _set_at(args, collection, n_shards)
        COMPILING.wait()
        here, there = SetSearcher(path), _by_actors(path, actors=n_actors)
        due, found = here.rank_vectors(queries, K), there.rank_vectors(queries, K)
        same = sum(
            np.array_equal(a.positions, b.positions) and np.array_equal(a.scores, b.scores)
            for a, b in zip(due, found, strict=True)
        )
        sides: dict[str, Searcher] = {"here": here, "there": there}
        singles = _times(sides, queries, lambda searcher, query: searcher.rank_vector(query, K), at_once=WARMING)
        batch = _batch(queries, collection)
        batches = _times(sides, [batch] * (1 + args.rounds), lambda searcher, some: list(searcher.rank(some, k=K)))
        one, actors = (statistics.median(singles[side]) * 1e3 for side in ("here", "there"))
        best = {side: min(batches[side]) * 1e3 for side in batches}
        _say(
            f"S = {n_shards}, actors {n_actors}: {same} of {len(queries)} rankings equal",
            f"  one query, median: in process {one:.3f} ms, by actors {actors:.3f} ms, {actors - one:+.3f} ms "
            f"(least {min(singles['here']) * 1e3:.3f}, {min(singles['there']) * 1e3:.3f})",
            f"  calls of Ray that do nothing, median: {time_calls(n_actors, len(queries)) * 1e3:.3f} ms",
            f"  batch of {len(queries)}, best of {args.rounds}: in process {best['here']:.1f} ms, by actors "
            f"{best['there']:.1f} ms, {best['there'] / best['here']:.2f} times",
        )
        there.close()


def _queries(batch: SparseBatch, n: int) -> list[Any]:
    rows = [batch.row(i % len(batch)) for i in range(n)]
    return [(ids.astype(np.int32), weights.astype(np.float32)) for ids, weights in rows]


def _batch(queries: Sequence[Any], collection: SparseCollection) -> SparseBatch:
    indptr = np.cumsum([0, *(len(ids) for ids, _ in queries)]).astype(np.int64)
    ids, weights = (np.concatenate([query[i] for query in queries]) for i in (0, 1))
    return SparseBatch(indptr, ids, weights, collection.queries.vocab_size)


def time_builds(args: argparse.Namespace, collection: SparseCollection) -> None:
    """Time the making of a set in one process and by tasks, and show the tasks' memory."""
    folder: Path = args.folder / "sets"
    builders = RayBuilders(None, BUILT_SHARDS)
    times: dict[str, float] = {}
    for side, given in (("one process", None), ("tasks", builders)):
        path = folder / "built"
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(exist_ok=True)
        times[side] = make_set(collection, path, BUILT_SHARDS, given)
        _say(f"{side}: {times[side]:.1f} s, {available_cores()} threads")
    sizes = {
        shard.name: sum(file.stat().st_size for file in shard.rglob("*") if file.is_file())
        for shard in path.iterdir() if shard.is_dir()
    }  # fmt: skip
    for name, report in sorted(builders.reports.items()):
        peak, before = report["peak_bytes"], report["peak_before_bytes"]
        _say(
            f"{name}: {report['seconds']:.1f} s, peak {peak / 1e6:.0f} MB ({before / 1e6:.0f} MB before it began), "
            f"shard {sizes[name] / 1e6:.0f} MB, {peak / sizes[name]:.2f} times"
        )
    _say(f"tasks took {times['tasks'] / times['one process']:.2f} times as long as one process")
    shutil.rmtree(path)


def time_failures(args: argparse.Namespace, collection: SparseCollection) -> None:
    """Time the error of a dead shard and of a hung one, and the way back to right answers."""
    path = _set_at(args, collection, BUILT_SHARDS)
    query = _queries(collection.queries, 1)[0]
    due = SetSearcher(path).rank_vector(query, K)
    timeout_s = 2.0
    many = _by_actors(path, actors=BUILT_SHARDS, restarts=1, timeout_s=timeout_s)
    actors = many._shards._connection
    assert isinstance(actors, Actors)
    os.kill(actors.pids[1][0], signal.SIGSTOP)
    _say(f"hung shard, timeout {timeout_s:g} s: error after {_until_error(many, query):.2f} s")
    os.kill(actors.pids[1][0], signal.SIGCONT)
    mortal = _by_actors(path, actors=BUILT_SHARDS, restarts=0, timeout_s=timeout_s)
    without_restart = mortal._shards._connection
    assert isinstance(without_restart, Actors)
    os.kill(without_restart.pids[2][0], signal.SIGKILL)
    _say(f"dead shard, no restarts: error after {_until_error(mortal, query):.2f} s")
    mortal.close()
    os.kill(actors.pids[2][0], signal.SIGKILL)
    began = time.perf_counter()
    _say(f"dead shard that is started again: error after {_until_error(many, query):.2f} s")
    while True:
        try:
            found = many.rank_vector(query, K)
            break
        except ShardLostError:
            time.sleep(0.05)
    same = np.array_equal(found.positions, due.positions) and np.array_equal(found.scores, due.scores)
    _say(f"restart: {'the right' if same else 'a WRONG'} answer {time.perf_counter() - began:.1f} s after the death")
    many.close()


def _until_error(many: GatheredSearcher, query: Any) -> float:
    began = time.perf_counter()
    while True:
        asked = time.perf_counter()
        try:
            many.rank_vector(query, K)
        except ShardLostError:
            return time.perf_counter() - asked
        if asked - began > 10:
            raise RuntimeError("the shard still answers")


if __name__ == "__main__":
    main()
