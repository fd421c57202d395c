"""What keeps memory from growing with the corpus: few kernels are kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lsr.encoders.network.memory import KERNEL_CACHES, MAX_KERNELS, limit_kernels


def test_few_kernels_are_kept_unless_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_CACHES[0], "7")
    monkeypatch.setenv(KERNEL_CACHES[1], "")  # so that what is set below ends with the test
    monkeypatch.delenv(KERNEL_CACHES[1])
    limit_kernels()
    assert [os.environ[name] for name in KERNEL_CACHES] == ["7", str(MAX_KERNELS)]


@pytest.mark.parametrize("package", ["lsr.encoders", "lsr.training"])
def test_kernels_are_limited_before_torch_is_loaded(package: str) -> None:
    """It asks how many to keep while it is loaded, and not later."""
    code = (
        f"import sys, os, {package}; assert 'torch' not in sys.modules; "
        f"print(*(os.environ[name] for name in {KERNEL_CACHES!r}))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in KERNEL_CACHES}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(MAX_KERNELS)] * len(KERNEL_CACHES)
