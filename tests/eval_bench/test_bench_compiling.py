"""The account of compiling: every version of a function, without what it had compiled for it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from lsr.eval.bench.serving.compiling import CompilingAccount


def compiled(function: Any) -> Any:
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})


def outer() -> None: ...


def inner() -> None: ...


def test_a_function_counts_without_those_that_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.accumulate([0, 1, 4, 1, 2, 3])
    monkeypatch.setattr("time.process_time", lambda: float(next(seconds)))
    account = CompilingAccount()
    account.begin(None)  # outer, at 0
    account.begin(None)  # inner, at 1
    account.end(compiled(inner))  # at 5
    account.begin(None)  # inner again, at 6
    account.end(compiled(inner))  # at 8
    account.end(compiled(outer))  # at 11
    names = {name.rpartition(".")[2]: name for name in account.seconds}
    assert account.seconds[names["inner"]] == 6 and account.versions[names["inner"]] == 2
    assert account.seconds[names["outer"]] == 5 and account.versions[names["outer"]] == 1
    first, *others = account.lines()
    assert first == "11.0 s of processor time, 3 versions of functions"
    assert [line.split()[-1] for line in others] == [names["inner"], names["outer"]]
