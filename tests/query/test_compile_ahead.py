"""Searches on a new machine: numpy answers them while another process compiles, and then compiled code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from lsr.kernels import search
from lsr.kernels.jit import first_use
from lsr.query.engine import compile_ahead, engine
from lsr.query.engine.compile_ahead import Compiling, compile_search


@pytest.fixture(scope="module")
def small_engine(collections: Any, tmp_path_factory: pytest.TempPathFactory) -> engine.Engine:
    rows = [{f"t{t}": float(1 + (d * t) % 9) for t in range(1, 4) if (d + t) % 3} for d in range(300)]
    index = collections.write_index(tmp_path_factory.mktemp("ahead") / "index", rows)
    return engine.Engine(index)


class Child:
    """A process that goes on until it is told to end."""

    def __init__(self, command: list[str], **_: Any) -> None:
        self.command, self.ended = command, False

    def poll(self) -> int | None:
        return 0 if self.ended else None

    def wait(self) -> int:
        self.ended = True
        return 0


@pytest.fixture
def new_machine(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """Make it look as if nothing was compiled; return the processes that are started."""
    started: list[Child] = []

    def start(command: list[str], **given: Any) -> Child:
        started.append(Child(command, **given))
        return started[-1]

    monkeypatch.delenv("LSR_COMPILE")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(compile_ahead, "compiled_is_loaded", lambda: False)
    monkeypatch.setattr(first_use, "note_of_compiling", lambda *_: "compiling")
    monkeypatch.setattr(subprocess, "Popen", start)
    return started


def test_one_process_compiles_until_it_ends(new_machine: list[Child]) -> None:
    compiling = Compiling()
    assert not compiling.is_done() and not compiling.is_done()
    (child,) = new_machine
    assert child.command[0] == sys.executable
    child.ended = True
    assert compiling.is_done() and compiling.is_done()
    assert len(new_machine) == 1


def test_who_wants_compiled_code_waits_for_it(new_machine: list[Child]) -> None:
    compiling = Compiling()
    compiling.wait()
    assert len(new_machine) == 1 and compiling.is_done()


@pytest.mark.parametrize("why", ["compiled before", "asked to wait", "no cache", "cannot start"])
def test_without_need_or_use_nothing_is_started(
    new_machine: list[Child], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    if why == "compiled before":
        monkeypatch.setattr(first_use, "note_of_compiling", lambda *_: None)
    elif why == "asked to wait":
        monkeypatch.setenv("LSR_COMPILE", "now")
    elif why == "no cache":
        monkeypatch.setattr("lsr.kernels.jit.compile.cache_folder", lambda: tmp_path / "lsr-kernels-x")
    else:
        monkeypatch.setattr(subprocess, "Popen", _no_process)
    assert Compiling().is_done()
    assert new_machine == []


def _no_process(*_: Any, **__: Any) -> None:
    raise OSError("no more processes")


def test_numpy_answers_alike_until_kernels_are_compiled(
    new_machine: list[Child], monkeypatch: pytest.MonkeyPatch, small_engine: engine.Engine
) -> None:
    of_two = np.array([0, 2], np.int32), np.array([1.0, 3.0], np.float32)
    queries = [of_two, (np.array([1], np.int32), np.ones(1, np.float32))]
    monkeypatch.setattr(engine, "COMPILING", Compiling())
    before = small_engine.rank_many(queries, 5)
    assert [ranking.traversals for ranking in before] == [("plain",)] * 2
    (child,) = new_machine
    child.ended = True
    after = small_engine.rank_many(queries, 5)
    assert not any("plain" in ranking.traversals for ranking in after)
    for one, other in zip(before, after, strict=True):
        assert one.positions.tolist() == other.positions.tolist()
        assert one.scores.tolist() == other.scores.tolist()


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_what_is_compiled_ahead_is_what_searches_call(small_engine: engine.Engine) -> None:
    compile_search()
    called = search.rank, search.rank_many, search.rank_approximately
    before = [len(function.signatures) for function in called]
    query = np.array([0], np.int32), np.ones(1, np.float32)
    small_engine.rank(*query, 3)
    small_engine.rank_many([query], 3)
    small_engine.rank(*query, 3, approximate=engine.Approximate(level="fast"))
    assert [len(function.signatures) for function in called] == before
