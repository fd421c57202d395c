"""kANNolo in Rust: a graph (HNSW) over sparse vectors. Approximate; the breadth of a search trades recall for time.

Source: Delfino et al., "kANNolo: Sweet and Smooth Approximate k-Nearest Neighbors Search" (ECIR 2025).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.collection import in_order
from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "kannolo"
LINKS, BREADTH_OF_BUILD = 16, 100
"""Half the package's defaults: with those, inserting a document takes milliseconds."""
SETTINGS = tuple(
    Setting(
        f"kANNolo, breadth {breadth}",
        "kANNolo",
        search={"breadth": breadth},
        approximate=True,
        note=f"{LINKS} links, built with a breadth of {BREADTH_OF_BUILD}",
    )
    for breadth in (20, 60, 200)
)


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("kannolo")


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    import kannolo

    ordered = in_order(documents, order)
    index = kannolo.SparsePlainHNSW.build_from_arrays(
        ordered.term_ids, ordered.weights, ordered.indptr, m=LINKS, ef_construction=BREADTH_OF_BUILD
    )
    index.save(str(folder / "graph"))
    np.save(folder / "order.npy", order)


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    import kannolo

    return kannolo.SparsePlainHNSW.load(str(folder / "graph")), np.load(folder / "order.npy", allow_pickle=False)


class _Search:
    def __init__(self, opened: tuple[Any, npt.NDArray[np.int64]], breadth: int) -> None:
        index, self._order = opened
        self._search, self._breadth = index.search, breadth

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        return term_ids.copy(), weights.copy()

    def search(self, query: Any, k: int) -> Any:
        return self._search(query[0], query[1], k, max(self._breadth, k))

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = self._order[result[1]]
        return found


def searcher(index: Any, *, breadth: int) -> _Search:
    """Return an open index to be searched."""
    return _Search(index, breadth)
