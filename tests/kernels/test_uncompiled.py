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
    "term_lookup",
    "forward",
    "kth_impacts",
    "query_terms",
    "superblock_bounds",
    "approximate",
    "packed_runs",
    "exhaustive",
    "blockmax",
    "pages",
    "superblock",
    "find_documents",
    "planner",
    "search",
    "quantise",
    "reorder",
    "traversals",
)


def run_kernel_tests(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    options = ["-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(here / f"test_{name}.py") for name in FILES)],
        cwd=root,
        env=os.environ | {"LSR_PROPERTY_CASES": "80", "PYTHONSAFEPATH": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(UNCOMPILED, reason="this is that run")
def test_the_kernel_tests_pass_without_compilation(root: Path) -> None:
    run = run_kernel_tests(root, NUMBA_DISABLE_JIT="1")
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


@pytest.mark.large
@pytest.mark.skipif(UNCOMPILED, reason="nothing is compiled")
def test_the_kernel_tests_pass_with_bounds_checked(root: Path) -> None:
    """Compiled, so with collections of thousands of documents; compiling it takes a minute the first time."""
    run = run_kernel_tests(root, NUMBA_BOUNDSCHECK="1", LSR_PROPERTY_CASES="320")
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
