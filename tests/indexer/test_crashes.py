"""A change that fails or is killed, at any step or moment, leaves the generation before it, or is done; never less."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

WORDS = "apple banana cherry date elder fig grape hazel".split()


def documents(first: int, last: int, revision: int = 0) -> list[Document]:
    return [
        Document(f"d{i}", f"{WORDS[i % 8]} {WORDS[(i + revision) % 7]} common", str(revision))
        for i in range(first, last)
    ]


def begin(path: Path) -> None:
    """Make an index of two segments with something deleted, so that every kind of change has all kinds of work."""
    index_documents(documents(0, 40), path, load_encoder("bm25"), overwrite=True)
    add_documents(documents(40, 50), path, merge=False)
    delete_documents(["d3"], path, merge=False)


CHANGES: dict[str, Callable[[Path], object]] = {
    "add": lambda path: add_documents(documents(50, 60), path, merge=False),
    "update": lambda path: update_documents(documents(35, 55, 1), path, merge=False),
    "delete": lambda path: delete_documents(["d1", "d44"], path, merge=False),
    "merge": lambda path: merge_index(path),
}


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """Give 1 to try every single step, or 3 to try some."""
    return 1 if request.config.getoption("--large") else 3


@pytest.mark.parametrize("name", CHANGES)
def test_a_failure_at_any_step_costs_nothing(tmp_path: Path, small: Any, name: str, stride: int) -> None:
    path = tmp_path / "index"
    begin(path)
    before, names = small.content(path), small.names(path)
    done = 0
    for step in range(len(name) % stride + 1, 1000, stride):
        code = (errno.ENOSPC, errno.EIO, errno.EROFS)[step % 3]
        with small.failing(step, lambda code=code: OSError(code, os.strerror(code))) as calls:
            try:
                CHANGES[name](path)
            except LsrError as error:
                assert os.strerror(code) in str(error) and "what was there is unchanged" in str(error)
                assert small.names(path) == names, calls[-1]
                assert small.content(path) == before
                continue
        done += 1
        assert small.leftovers(path) == set()
        if len(calls) < step:  # the step that was to fail was never reached
            break
        begin(path)  # it failed where that is no matter
        names = small.names(path)
        before = small.content(path)
    assert 20 < step < 999
    # A file that can't be linked is copied, and a folder may be there already.
    assert done <= 2 + calls.count("link") + calls.count("mkdir")


@pytest.mark.parametrize("name", CHANGES)
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, small: Any, name: str, stride: int
) -> None:
    whole = tmp_path / "whole"
    begin(whole)
    before = small.content(whole)
    CHANGES[name](whole)
    after = small.content(whole)
    path = tmp_path / "index"
    outcomes = set()
    for step in range(1, 1000, stride * stride):
        begin(path)
        killed = small.killed_at(step, lambda: CHANGES[name](path))
        found = small.content(path)
        outcomes.add((killed, found == before, found == after))
        delete_documents(["d2"], path, merge=False)
        assert small.leftovers(path) == set()
        if not killed:
            break
    merged = name == "merge"  # which changes nothing that can be seen
    assert outcomes == {(True, True, merged), (False, merged, True)} or outcomes == {
        (True, True, merged), (True, merged, True), (False, merged, True),
    }  # fmt: skip


class Model:
    """What the index should hold after each of a row of steps, which the seed decides."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.states: list[dict[str, tuple[str, float]]] = [{}]

    def operations(self, step: int) -> list[tuple[str, list[str], str, float]]:
        """Return what step `step` does: (kind, ids, text, weight)."""
        rng = random.Random(f"{self._seed} {step}")
        kind = rng.choice(["update", "update", "delete", "both", "merge"])
        ids = [f"doc_{i}" for i in rng.sample(range(60), rng.randint(1, 12))]
        text, weight = f"step {step}", float(rng.randint(1, 9))
        if kind == "merge":
            return [("merge", [], text, weight)]
        if kind == "both":
            return [("delete", ids[: len(ids) // 2], text, weight), ("update", ids[len(ids) // 2 :], text, weight)]
        return [(kind, ids, text, weight)]

    def state(self, step: int) -> dict[str, tuple[str, float]]:
        """Return text and weight by doc_id, in the order of addition, after `step` steps."""
        while len(self.states) <= step:
            now = dict(self.states[-1])
            for kind, ids, text, weight in self.operations(len(self.states) - 1):
                for doc_id in ids:
                    now.pop(doc_id, None)
                    if kind == "update":
                        now[doc_id] = (text, weight)
            self.states.append(now)
        return self.states[step]

    def run(self, path: Path, step: int) -> None:
        """Do a step to an index."""
        operations = self.operations(step)
        if operations[0][0] == "merge":
            merge_index(path)
            return
        with IndexEditor(path) as editor:
            for kind, ids, text, weight in operations:
                if kind == "delete":
                    editor.delete(ids)
                else:
                    editor.update([Document(i, text) for i in ids], rows(editor, len(ids), weight))
            editor.commit()
        if step % 3 == 0:
            merge_index(path, only_due=True)


def rows(editor: IndexEditor, n: int, weight: float) -> SparseBatch:
    term_id = editor.encoder.term_id("apple")  # type: ignore[attr-defined]
    return SparseBatch.from_rows([{term_id: weight}] * n, 100)


def held(content: list[Any]) -> list[tuple[str, tuple[str, float]]]:
    return [(document.doc_id, (document.text, float(postings["apple"]))) for document, postings in content]


def kill_at_random(path: Path, small: Any, kills: int, *, within: int, seed: int) -> None:
    """Kill a writer so often, and `within` times at least while it writes; see that no acknowledged step is lost."""
    model, rng = Model(seed), random.Random(seed)
    small.write(path, 1).close()
    delete_documents(["doc_0"], path)
    done, n_kills, n_within = 0, 0, 0
    while n_kills < kills or n_within < within:
        n_kills += 1
        small.tally("kills at random moments")
        acknowledged = _run_until_killed(model, path, done, rng.uniform(0.0, 0.06))
        n_within += any(name.startswith("tmp-") or name.endswith(".tmp") for name in os.listdir(path))
        found = held(small.content(path))
        reached = [s for s in (acknowledged, acknowledged + 1) if found == list(model.state(s).items())]
        assert reached, (acknowledged, found, model.state(acknowledged))
        done = reached[-1]
        model.run(path, done)
        done += 1
        assert small.leftovers(path) == set()


def _run_until_killed(model: Model, path: Path, first: int, seconds: float) -> int:
    """Let another process do steps from `first` on and kill it; return how many steps it said are done."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for step in range(first, first + 10_000):
                model.run(path, step)
                os.write(writing, b".")
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "the writer ended by itself"
    acknowledged = first
    while dots := os.read(reading, 4096):
        acknowledged += len(dots)
    os.close(reading)
    return acknowledged


def test_a_writer_killed_at_a_random_moment_loses_nothing_that_it_acknowledged(tmp_path: Path, small: Any) -> None:
    kill_at_random(tmp_path / "index", small, 25, within=6, seed=5)


@pytest.mark.large
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(11, 16))
def test_500_writers_killed_at_random_moments_lose_nothing(seed: int, tmp_path: Path, small: Any) -> None:
    kill_at_random(tmp_path / "index", small, 100, within=20, seed=seed)


def change_beside_readers(path: Path, n_readers: int, n_commits: int, *, seen: int) -> None:
    """Let processes read while this one writes: so many commits, and until each has seen `seen` generations.

    Each commit adds a batch of ten documents and deletes an older one, so that a whole view has whole batches only.
    """
    encoder = load_encoder("bm25")

    def batch(number: int) -> list[Document]:
        return [Document(f"{number}-{i}", f"common batch{number}", str(number)) for i in range(10)]

    index_documents([document for n in range(3) for document in batch(n)], path, encoder)
    stop = path.with_name("stop")
    # Each reader writes a byte for each generation that it sees.
    readers: dict[int, int] = {}
    for number in range(n_readers):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            outcome = 1
            try:
                _read_until(path, stop, writing, by_refresh=bool(number % 2))
                outcome = 0
            finally:
                os._exit(outcome)
        os.close(writing)
        os.set_blocking(reading, False)
        readers[reading] = pid
    n_seen = dict.fromkeys(readers, 0)
    number = 3
    while number < 3 + n_commits or min(n_seen.values()) < seen:
        for reading in readers:
            with suppress(BlockingIOError):
                news = os.read(reading, 4096)
                assert news, "a reader ended by itself"
                n_seen[reading] += len(news)
        with IndexEditor(path) as editor:
            some = batch(number)
            editor.add(some, editor.encoder.encode_documents(some))
            editor.delete(f"{number - 3}-{i}" for i in range(10))
            editor.commit()
        if number % 4 == 0:
            merge_index(path, only_due=number % 8 == 0)
        number += 1
    stop.touch()
    for reading, pid in readers.items():
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(reading)
    assert StoredIndex.open(path).manifest.generation > n_commits


def _read_until(path: Path, stop: Path, writing: int, *, by_refresh: bool) -> None:
    """Search again and again; write a byte for each generation seen. Raises AssertionError for a torn view."""
    generations: set[int] = set()
    searcher = Searcher(path)
    while not stop.exists() or not generations:
        searcher = searcher.refresh() if by_refresh else Searcher(path)
        if searcher.index.manifest.generation not in generations:
            os.write(writing, b".")
            generations.add(searcher.index.manifest.generation)
        assert len(searcher.index) == 30
        hits = searcher.search("common", k=100)
        numbers = [int(hit.title) for hit in hits]
        assert len(hits) == 30 and len({hit.score for hit in hits}) == 1
        assert numbers == sorted(numbers) and numbers[-1] - numbers[0] == 2
        assert [hit.doc_id for hit in hits] == [f"{number}-{i % 10}" for i, number in enumerate(numbers)]
        assert searcher.search(f"batch{numbers[0]}", k=100) == searcher.search(f"batch{numbers[0]}", k=10)


def test_readers_beside_a_writer_see_whole_generations(tmp_path: Path) -> None:
    change_beside_readers(tmp_path / "index", 8, 9, seen=3)


@pytest.mark.large
@pytest.mark.timeout(7200)
def test_eight_readers_beside_many_commits(tmp_path: Path, small: Any) -> None:
    change_beside_readers(tmp_path / "index", 8, 200, seen=4)
    merge_index(tmp_path / "index")
    assert len(small.content(tmp_path / "index")) == 30 and small.leftovers(tmp_path / "index") == set()


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have all kernels loaded before processes fork."""
    path = tmp_path_factory.mktemp("compiled") / "index"
    begin(path)
    merge_index(path)
    assert len(Searcher(path).search("common", k=100)) == 49
