"""Learned sparse retrieval: index texts with learned term weights, and search them exactly.

The public names are imported when they are first used: `import lsr` itself loads nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lsr.version import __version__

_PUBLIC = {
    "Approximate": "lsr.query.engine.approximate",
    "Document": "lsr.types",
    "Feedback": "lsr.query.feedback",
    "Hit": "lsr.types",
    "Hybrid": "lsr.query.hybrid.settings",
    "Index": "lsr.api.index",
    "LsrError": "lsr.errors",
    "Results": "lsr.types",
    "evaluate": "lsr.api.evaluate",
    "index": "lsr.api.build",
    "load_encoder": "lsr.api.encoders",
    "open": "lsr.api.index",
}
"""The public names, each with the module that defines it."""

if TYPE_CHECKING:
    from lsr.api.build import index
    from lsr.api.encoders import load_encoder
    from lsr.api.evaluate import evaluate
    from lsr.api.index import Index, open  # noqa: A004
    from lsr.errors import LsrError
    from lsr.query.engine.approximate import Approximate
    from lsr.query.feedback import Feedback
    from lsr.query.hybrid.settings import Hybrid
    from lsr.types import Document, Hit, Results

__all__ = [
    "Approximate",
    "Document",
    "Feedback",
    "Hit",
    "Hybrid",
    "Index",
    "LsrError",
    "Results",
    "__version__",
    "evaluate",
    "index",
    "load_encoder",
    "open",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lsr' has no attribute {name!r}; it offers {', '.join(_PUBLIC)}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
