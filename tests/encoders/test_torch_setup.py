"""`import lsr` does no work, and torch is never imported before its kernel caches are limited."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsr.encoders.torch_setup import KERNEL_CACHES, MAX_KERNELS, PASSIVE, prepare_torch

FOLDERS = ("lsr", "eval", "query", "indexer", "kernels")
LIBRARIES = ("torch", "transformers", "safetensors.torch")
"""Modules that are torch, or import it."""


def run(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in (*KERNEL_CACHES, *PASSIVE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_few_kernels_are_kept_unless_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_CACHES[0], "7")
    monkeypatch.setenv(KERNEL_CACHES[1], "")  # so that what is set below ends with the test
    monkeypatch.delenv(KERNEL_CACHES[1])
    prepare_torch()
    assert [os.environ[name] for name in KERNEL_CACHES] == ["7", str(MAX_KERNELS)]


def test_threads_wait_passively_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PASSIVE:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    prepare_torch()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["KMP_BLOCKTIME"]) == ("ACTIVE", "0")


def test_importing_lsr_changes_no_environment_opens_no_file_and_loads_nothing_else() -> None:
    code = """
import json, os, sys
before, modules, opened = dict(os.environ), set(sys.modules), []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import lsr
opened = [path for path in opened if not path.endswith((".py", ".pyc"))]
loaded = sorted(name for name in set(sys.modules) - modules if name.split(".")[0] not in sys.stdlib_module_names)
print(json.dumps([dict(os.environ) == before, opened, loaded]))
"""
    same, opened, loaded = json.loads(run(code))
    assert same and opened == [] and loaded == ["lsr", "lsr.version"]


@pytest.mark.parametrize("module", ["lsr.encoders.pretrained.load_model", "lsr.training.losses.base"])
def test_kernels_are_limited_before_torch_is_loaded(module: str) -> None:
    """Limit them in time: torch asks how many to keep while it is loaded, and not later."""
    code = f"""
import os, sys
seen = []
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            seen.extend(os.environ.get(name) for name in {(*KERNEL_CACHES, *PASSIVE)!r})
sys.meta_path.insert(0, Finder)
import {module}
print(*seen)
"""
    assert run(code).split() == [*[str(MAX_KERNELS)] * len(KERNEL_CACHES), *PASSIVE.values()]


def test_every_module_that_imports_torch_is_in_a_package_that_limits_kernels_first() -> None:
    root = Path(__file__).parents[2]
    unlimited = [
        str(path)
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
        if imports_torch(path) and not any(limits_kernels(parent) for parent in path.parents)
    ]
    assert unlimited == []


def imports_torch(path: Path) -> bool:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return any(name == library or name.startswith(f"{library}.") for name in names for library in LIBRARIES)


def limits_kernels(folder: Path) -> bool:
    init = folder / "__init__.py"
    return init.is_file() and "\nprepare_torch()\n" in init.read_text(encoding="utf-8")
