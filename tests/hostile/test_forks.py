"""A fork beside threads that search, filter, explain and change finds no lock that is held for ever."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import lsr
from lsr.errors import IndexLockedError
from lsr.indexer.update.editor import IndexEditor
from lsr.io.fork_safe import ForkSafeLock, cached_property
from lsr.query.searcher import Searcher

PATIENCE_S = 60
N_THREADS = 16
SWITCH_S = 0.0002
"""Between threads, so that all 16 are amid their work within milliseconds, and the one that forks gets its turn."""


def answered(child: Callable[[], bool], *, beside: Busy | None = None) -> bool:
    """Run something in a forked process; say whether it ended in time and was right.

    beside: threads that work; they wait after the fork, so that they leave the processor to the child.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, b"y" if child() else b"n")
        finally:
            os._exit(0)
    if beside is not None:
        beside.working.clear()
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], PATIENCE_S)
    answer = os.read(reading, 1) if ready else b""
    os.close(reading)
    if not ready:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return answer == b"y"


@dataclass(frozen=True)
class Busy:
    """Threads that work while an event is set: what they raised, and which are amid their work."""

    working: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list)
    amid: list[bool] = field(default_factory=lambda: [False] * N_THREADS)


@contextmanager
def busy(*works: Callable[[int], object]) -> Iterator[Busy]:
    """Let threads do things again and again."""
    stop, threads_of = threading.Event(), Busy()

    def run(number: int) -> None:
        step = number
        try:
            while threads_of.working.wait() and not stop.is_set():
                threads_of.amid[number] = True
                works[number % len(works)](step)
                threads_of.amid[number] = False
                step += N_THREADS
        except BaseException as error:  # noqa: BLE001
            threads_of.failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield threads_of
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        threads_of.working.set()
        for thread in threads:
            thread.join()


def test_a_fork_beside_the_holder_of_a_lock_finds_it_free() -> None:
    for reentrant in (False, True):
        lock, holding, stop = ForkSafeLock(reentrant=reentrant), threading.Event(), threading.Event()

        def hold(lock: ForkSafeLock = lock, holding: threading.Event = holding, stop: threading.Event = stop) -> None:
            with lock:
                holding.set()
                stop.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait()

        def take(lock: ForkSafeLock = lock) -> bool:
            with lock:
                return True

        assert answered(take)
        stop.set()
        thread.join()
        assert take()


def test_a_fork_by_the_holder_of_a_lock_leaves_it_right_in_both() -> None:
    lock = ForkSafeLock(reentrant=True)

    def leave() -> bool:
        lock.__exit__(None, None, None)
        with lock:
            return True

    with lock, lock:
        pass
    lock.__enter__()
    assert answered(leave) and leave()


def test_a_fork_beside_a_thread_that_computes_a_property_computes_it_too() -> None:
    computing, stop = threading.Event(), threading.Event()

    class Slow:
        waits = True

        @cached_property
        def value(self) -> object:
            """An object."""
            if self.waits:
                computing.set()
                stop.wait()
            return object()

    slow, other = Slow(), Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    computing.wait()
    Slow.waits = False
    assert answered(lambda: other.value is not None and slow.value is not None)
    value = slow.value
    stop.set()
    thread.join()
    assert slow.value is value and isinstance(Slow.value, cached_property)


def forks_beside_searches(path: Path, n_forks: int, tally: Callable[..., None]) -> None:
    documents = [{"doc_id": f"d{i}", "text": f"word{i % 40} common", "year": i % 30} for i in range(300)]
    lsr.index(documents, path, encoder="bm25")
    searcher = Searcher(path)
    expected = [hit.doc_id for hit in searcher.search("common word3", where="year > 3")]

    def search(step: int) -> None:
        searcher.search(f"common word{step % 40}")

    def select_some(step: int) -> None:
        searcher.search("common", where=f"year > {step % 97 - 50}")

    def explain(step: int) -> None:
        searcher.explain(f"word{step % 40} unseen{step}", k=2)

    def open_again(step: int) -> None:
        Searcher(path).search(f"word{step % 40}", where=f"year == {step % 30}")

    def child() -> bool:
        found = [hit.doc_id for hit in searcher.search("common word3", where="year > 3")]
        searcher.explain("other words than before", k=1)
        fresh = Searcher(path).search("common word3", where="year > 3.0")
        return found == expected == [hit.doc_id for hit in fresh]

    for work in (search, select_some, explain, open_again):
        work(0)
    n_amid = 0
    with busy(search, select_some, explain, open_again) as threads:
        for number in range(n_forks):
            threads.working.set()
            time.sleep(0.0005 * (1 + number % 17))
            n_amid += sum(threads.amid)
            assert answered(child, beside=threads), f"fork {number} got no answer"
    assert threads.failed == []
    assert n_amid > n_forks * N_THREADS / 4
    tally("forks beside 16 threads", n_forks)
    tally("threads amid their work at these forks", n_amid)


def test_forks_beside_threads_that_search_filter_and_explain(tmp_path: Path, tally: Callable[..., None]) -> None:
    forks_beside_searches(tmp_path / "index", 50, tally)


@pytest.mark.large
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("quarter", range(4))
def test_1000_forks_beside_threads_that_search_filter_and_explain(
    quarter: int, tmp_path: Path, tally: Callable[..., None]
) -> None:
    forks_beside_searches(tmp_path / f"index{quarter}", 250, tally)


def test_a_fork_beside_a_writer_neither_keeps_nor_breaks_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "index"
    lsr.index(["a text"], path, encoder="bm25")
    editor = IndexEditor(path)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            editor.close()
            os.close(writing)
            os.read(reading, 1)  # until the parent has ended its transaction
        finally:
            os._exit(0)
    os.close(reading)
    with pytest.raises(IndexLockedError):
        IndexEditor(path)
    editor.delete(["0"])
    editor.commit()
    editor.close()
    with IndexEditor(path) as second:
        second.commit()
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_fork_beside_a_thread_that_compiles_can_compile(tmp_path: Path) -> None:
    import numba

    compiled = [False]

    def compile_one() -> bool:
        @numba.njit
        def twice(x: int) -> int:
            return 2 * x

        return bool(twice(3) == 6)

    compile_one()

    def compile_many() -> None:
        for _ in range(4):
            compile_one()
        compiled[0] = True

    import lsr.kernels.search  # noqa: F401  which sees to the compilers at a fork

    thread = threading.Thread(target=compile_many)
    thread.start()
    n_forks = 0
    while not compiled[0]:
        assert answered(compile_one)
        n_forks += 1
    thread.join()
    assert n_forks
