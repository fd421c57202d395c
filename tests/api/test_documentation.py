"""Every example that is shown runs: in docstrings, and in docs/PYTHON.md."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.query.options import option_specs

NAMES = [name for name in lsr.__all__ if name != "__version__"]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_docstrings_run(name: str, here: Path) -> None:
    found = doctest.DocTestFinder(recurse=True).find(getattr(lsr, name), name, globs={})
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    shown: list[str] = []
    for examples in found:
        runner.run(examples, out=shown.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(shown)
    assert any(examples.examples for examples in found)


@pytest.mark.parametrize("name", NAMES)
def test_functions_name_their_arguments_in_the_docstring(name: str) -> None:
    value: Any = getattr(lsr, name)
    sections = {"Args", "Returns", "Raises"} if callable(value) and not isinstance(value, type) else set()
    assert sections <= set(re.findall(r"^ *(\w+):$", value.__doc__, re.MULTILINE))


def test_the_tutorial_runs_from_beginning_to_end(root: Path, tmp_path: Path) -> None:
    """In a process of its own, as a stranger would run it; words alone, so that no model is loaded."""
    blocks = _BLOCK.findall((root / "docs" / "PYTHON.md").read_text("utf-8"))
    assert len(blocks) > 10
    program = tmp_path / "tutorial.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    environment = os.environ | {"LSR_ENCODER": "bm25", "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_tutorial_shows_every_public_name(root: Path) -> None:
    text = (root / "docs" / "PYTHON.md").read_text("utf-8")
    assert [name for name in NAMES if f"lsr.{name}" not in text] == []


def test_comments_in_the_tutorial_are_what_is_printed(root: Path, tmp_path: Path) -> None:
    """A line `print(…)  # text` prints that text."""
    text = "\n".join(_BLOCK.findall((root / "docs" / "PYTHON.md").read_text("utf-8")))
    promised = re.findall(r"^\s*print\(.*\)  # (.*)$", text, re.MULTILINE)
    assert promised
    program = tmp_path / "tutorial.py"
    program.write_text(text, encoding="utf-8")
    environment = os.environ | {"LSR_ENCODER": "bm25", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    printed = done.stdout.splitlines()
    assert [line for line in promised if line not in printed] == []


def option_table() -> str:
    """Return the table of search options, from their descriptions."""
    rows = [f"| `{name}` | {spec.expected.replace('|', '/')} | {default!r} | {spec.help.replace('|', '/')} |"
            for name, spec, default in option_specs()]  # fmt: skip
    return "\n".join(["| option | values | default | meaning |", "| --- | --- | --- | --- |", *rows])


def test_the_table_of_search_options_is_that_of_their_descriptions(root: Path) -> None:
    assert option_table() in (root / "docs" / "PYTHON.md").read_text("utf-8")
