"""Seismic in Rust, by its authors: clustered posting lists with summaries. Approximate: its settings trade recall."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.collection import in_order
from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "pyseismic-lsr"
SETTINGS = tuple(
    Setting(
        f"Seismic, cut {cut}, factor {factor}",
        "Seismic",
        search={"query_cut": cut, "heap_factor": factor},
        approximate=True,
        note="built with the package's default parameters",
    )
    for cut, factor in ((5, 1.0), (10, 0.9), (5, 0.7))
)
NARROW_VOCABULARY = 1 << 16


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("seismic")


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    import seismic

    wide = documents.vocab_size > NARROW_VOCABULARY
    dataset = (seismic.SeismicDatasetLV if wide else seismic.SeismicDataset)(documents.vocab_size)
    ordered = in_order(documents, order)
    dataset.add_documents_by_id(
        [str(position) for position in order.tolist()],
        ordered.term_ids.astype(np.int64),
        ordered.weights,
        ordered.indptr,
    )
    kind = seismic.SeismicIndexLV if wide else seismic.SeismicIndex
    kind.build_from_dataset(dataset).save(str(folder / ("wide" if wide else "narrow")))


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    import seismic

    narrow = folder / "narrow.index.seismic"
    if narrow.is_file():
        return seismic.SeismicIndex.load(str(narrow))
    return seismic.SeismicIndexLV.load(str(folder / "wide.index.seismic"))


class _Search:
    def __init__(self, index: Any, query_cut: int, heap_factor: float) -> None:
        import seismic

        self._search, self._query_cut, self._heap_factor = index.search, query_cut, heap_factor
        self._string = seismic.get_seismic_string()

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        return np.array([str(term_id) for term_id in term_ids.tolist()], self._string), weights.copy()

    def search(self, query: Any, k: int) -> Any:
        return self._search("", query[0], query[1], k=k, query_cut=self._query_cut, heap_factor=self._heap_factor)

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        return np.array([int(name) for _, _, name in result], np.int64)


def searcher(index: Any, *, query_cut: int, heap_factor: float) -> _Search:
    """Return an open index to be searched."""
    return _Search(index, query_cut, heap_factor)
