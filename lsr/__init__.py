"""Learned sparse retrieval. What is public is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Document": "lsr.types",
    "Hit": "lsr.types",
    "Index": "lsr.indexer.storage.index",
    "LsrError": "lsr.errors",
    "Searcher": "lsr.query.searcher",
    "SparseBatch": "lsr.types",
    "load_encoder": "lsr.encoders.registry",
}

if TYPE_CHECKING:
    from lsr.encoders.registry import load_encoder
    from lsr.errors import LsrError
    from lsr.indexer.storage.index import Index
    from lsr.query.searcher import Searcher
    from lsr.types import Document, Hit, SparseBatch

__all__ = ["Document", "Hit", "Index", "LsrError", "Searcher", "SparseBatch", "__version__", "load_encoder"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lsr' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
