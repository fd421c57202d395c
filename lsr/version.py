"""The version of this library, which modules below the public interface record and compare."""

from __future__ import annotations

__version__ = "0.1.0"
