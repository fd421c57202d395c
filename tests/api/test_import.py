"""`import lsr` does no work; its names are loaded when they are first used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lsr

NAMES = {
    "index", "open", "Index", "Document", "Hit", "Results", "Hybrid", "Feedback", "Approximate", "load_encoder",
    "evaluate", "LsrError",
}  # fmt: skip

REPORT = """
import json, os, sys
opened = []
before, modules = dict(os.environ), set(sys.modules)
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import lsr
found = {
    "environment": dict(os.environ) == before,
    "opened": [path for path in opened if not path.endswith((".py", ".pyc")) and ".pyc." not in path],
    "modules": sorted(name for name in set(sys.modules) - modules if name.split(".")[0] not in sys.stdlib_module_names),
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def report() -> Any:
    done = subprocess.run([sys.executable, "-c", REPORT], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_changes_no_environment_variable(report: Any) -> None:
    assert report["environment"]


def test_importing_opens_no_file_but_the_source(report: Any) -> None:
    assert report["opened"] == []


def test_importing_loads_no_other_module(report: Any) -> None:
    assert report["modules"] == ["lsr", "lsr.version"]


def test_the_public_names_are_these_twelve() -> None:
    assert set(lsr.__all__) == NAMES | {"__version__"}
    assert set(dir(lsr)) == NAMES | {"__version__"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_loads_neither_torch_nor_numba(name: str) -> None:
    code = f"import sys, lsr; lsr.{name}; print([m for m in ('torch', 'transformers', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_documented_with_an_example(name: str) -> None:
    text = getattr(lsr, name).__doc__
    assert text
    assert ">>> " in text


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'indx'; it offers .*index"):
        _ = lsr.indx  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_package(root: Path) -> None:
    assert f'version = "{lsr.__version__}"' in (root / "pyproject.toml").read_text("utf-8")
