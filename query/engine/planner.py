"""The choice between numpy and compiled kernels for a query; the kernels then choose a traversal."""

from __future__ import annotations

import sys

from lsr.kernels.traversals.names import TRAVERSALS as COMPILED_TRAVERSALS

PLAIN = "plain"
"""The search by numpy alone."""

TRAVERSALS = (PLAIN, *COMPILED_TRAVERSALS)

PLAIN_POSTINGS = 3_000_000
"""Postings up to which numpy answers a process's only query before compiled kernels would be loaded (about 0.3 s)."""
PLAIN_WHILE_COMPILING = 100_000_000
"""Postings up to which numpy answers while kernels are compiled, rather than waiting for them (about 10 s)."""
COMPILED = "lsr.kernels.search"


def compiled_is_loaded() -> bool:
    """Say whether this process has the compiled kernels already, so that nothing is saved by doing without."""
    return COMPILED in sys.modules
