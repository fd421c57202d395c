"""The kernels pass their tests uncompiled too, where numpy checks every index and warns of every overflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_cases import UNCOMPILED

FILES = (
    "topk",
    "layout",
    "forward",
    "thresholds",
    "bounds",
    "exhaustive",
    "blockmax",
    "superblock",
    "quantise",
    "reorder",
    "traversals",
)


@pytest.mark.skipif(UNCOMPILED, reason="this is that run")
def test_the_kernel_tests_pass_without_compilation(root: Path) -> None:
    here = Path(__file__).parent
    options = ["-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(here / f"test_{name}.py") for name in FILES)],
        cwd=root,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "LSR_PROPERTY_CASES": "96", "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
