"""Lets the tests of the encoding kernels import their plain twins (`encode_oracle`) by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("encode_oracle")
