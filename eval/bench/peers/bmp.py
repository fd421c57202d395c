"""BMP in Rust, by its authors: block-max pruning with a forward index.

It reduces query weights to a few levels, so that what it calls exact can miss documents.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "bmp"
SETTINGS = tuple(
    Setting(name, name, {"block_size": size}, note="reduces query weights to a few levels")
    for name, size in (("BMP, block 8", 8), ("BMP, block 32", 32))
)


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("bmp")


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path, *, block_size: int) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    from bmp import Indexer

    names = [str(term_id) for term_id in range(documents.vocab_size)]
    indexer = Indexer(str(folder / "index.bmp"), bsize=block_size, compress_range=False)
    for position in order.tolist():
        term_ids, weights = documents.row(position)
        vector = {names[i]: w for i, w in zip(term_ids.tolist(), weights.astype(np.int64).tolist(), strict=True)}
        indexer.add_document(str(position), vector)
    indexer.finish()


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    from bmp import Searcher

    return Searcher(str(folder / "index.bmp"))


class _Search:
    def __init__(self, index: Any) -> None:
        self._index = index

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        return {str(term_id): weight for term_id, weight in zip(term_ids.tolist(), weights.tolist(), strict=True)}

    def search(self, query: Any, k: int) -> Any:
        return self._index.search(query, k, 1.0, 1.0)

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        return np.array([int(name) for name in result[0]], np.int64)


def searcher(index: Any) -> _Search:
    """Return an open index to be searched."""
    return _Search(index)
