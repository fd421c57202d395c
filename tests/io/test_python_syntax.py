"""Threads that parse Python's grammar at once don't disturb each other."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from typing import Any

import pytest

from lsr.io.python_syntax import parse_expression, parse_module
from lsr.query.filters.language import parse_filter


def test_one_thread_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, original = [0], [0], ast.parse
    other = threading.Event()

    def parse(*args: Any, **options: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        other.wait(0.02)  # lets other threads come in if they may
        inside[0] -= 1
        return original(*args, **options)

    monkeypatch.setattr(ast, "parse", parse)
    works = [lambda: parse_filter("year > 3"), lambda: parse_module("x = 1"), lambda: parse_expression("x")] * 2
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and inside == [0]


def test_what_a_thread_of_another_library_spoils_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled, original = [3], ast.parse

    def parse(*args: Any, **options: Any) -> Any:
        spoiled[0] -= 1
        if spoiled[0] >= 0:
            raise SystemError("AST constructor recursion depth mismatch (before=45, after=42)")
        return original(*args, **options)

    monkeypatch.setattr(ast, "parse", parse)
    assert isinstance(parse_expression("1 + x"), ast.BinOp)
    with pytest.raises(SyntaxError):
        parse_module("1 +")
    spoiled[0] = 100
    with pytest.raises(SystemError):
        parse_expression("x")


def test_nothing_else_of_the_package_parses_python(root: Path) -> None:
    found = [
        path.relative_to(root).as_posix()
        for folder in ("lsr", "indexer", "query", "kernels", "eval")
        for path in (root / folder).rglob("*.py")
        if "ast.parse(" in path.read_text(encoding="utf-8")
    ]
    assert found == ["lsr/io/python_syntax.py"]
