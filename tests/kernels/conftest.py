"""Lets the kernel tests import their plain twins (`kernel_oracle`) and collections (`kernel_cases`) by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("kernel_cases", "kernel_oracle")
