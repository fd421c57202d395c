"""Tests count work instead of timing it: a clock's verdict depends on what else the machine does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CLOCKS = {
    "clock_gettime", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns",
    "thread_time", "thread_time_ns", "time", "time_ns",
}  # fmt: skip
ALLOWED = {
    "tests/encoders/throughput_worker.py": "prints what it measured",
    "tests/kernels/test_compile.py": "gives files an age",
}


def clocks_of(source: str) -> Iterator[str]:
    """Yield the clocks that a module reads, as `line: name`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "time" and node.attr in CLOCKS:
                yield f"{node.lineno}: time.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"{node.lineno}: time.{alias.name}" for alias in node.names if alias.name in CLOCKS)


def test_no_test_reads_a_clock(root: Path) -> None:
    found = [
        f"{place}:{clock}"
        for path in sorted((root / "tests").rglob("*.py"))
        if (place := path.relative_to(root).as_posix()) not in ALLOWED
        for clock in clocks_of(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source", ["import time\ntime.perf_counter()", "from time import monotonic", "x = time.time()"]
)
def test_a_clock_would_be_found(source: str) -> None:
    assert len(list(clocks_of(source))) == 1
