"""SINDI of VSAG, in C++: windows of postings added up without branches, documents and queries pruned by their mass.

Its first pass reads pruned postings; candidates are then scored by the whole vectors. Unpruned it misses nothing.
Source: "SINDI: an Efficient Index for Approximate Maximum Inner Product Search on Sparse Vectors" (arXiv 2509.08395).
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.collection import in_order
from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "pyvsag"
WINDOW_SIZE = 60_000
PRUNED = 0.4
"""Share of a document's mass that is left out of the first pass."""
SETTINGS = (
    Setting("SINDI", "SINDI", build={"doc_prune_ratio": 0.0}, search={"query_prune_ratio": 0.0, "n_candidate": 0}),
    *(
        Setting(
            f"SINDI, query pruned {ratio:g}, {n} candidates",
            "SINDI, pruned",
            build={"doc_prune_ratio": PRUNED},
            search={"query_prune_ratio": ratio, "n_candidate": n},
            approximate=True,
            note=f"documents pruned by {PRUNED:g} of their mass, candidates scored again",
        )
        for ratio, n in ((0.7, 30), (0.6, 50), (0.5, 100), (0.4, 200), (0.2, 500))
    ),
)


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("pyvsag").set_logger_off()


def _parameters(documents: SparseBatch, doc_prune_ratio: float) -> str:
    own = {
        "use_reorder": doc_prune_ratio > 0,
        "window_size": WINDOW_SIZE,
        "term_id_limit": documents.vocab_size,
        "doc_prune_ratio": doc_prune_ratio,
        "use_quantization": False,
    }
    common = {"dtype": "sparse", "metric_type": "ip", "dim": documents.vocab_size}
    return json.dumps(common | {"index_param": own})


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path, *, doc_prune_ratio: float) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    import pyvsag

    parameters = _parameters(documents, doc_prune_ratio)
    index = pyvsag.Index("sindi", parameters)
    ordered = in_order(documents, order)
    # It takes no vector without terms.
    held = np.diff(ordered.indptr) > 0
    indptr = np.concatenate([[0], ordered.indptr[1:][held]]).astype(np.uint32)
    index.build(indptr, ordered.term_ids.astype(np.uint32), ordered.weights, order[held])
    index.save(str(folder / "sindi"))
    (folder / "parameters.json").write_text(json.dumps({"parameters": parameters, "n_docs": len(documents)}), "utf-8")


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    import pyvsag

    kept = json.loads((folder / "parameters.json").read_text("utf-8"))
    index = pyvsag.Index("sindi", kept["parameters"])
    index.load(str(folder / "sindi"))
    return index, kept["n_docs"]


class _Search:
    def __init__(self, opened: tuple[Any, int], **settings: float) -> None:
        index, self._n_docs = opened
        self._search, self._settings = index.knn_search, json.dumps({"sindi": settings})

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        return np.array([0, len(term_ids)], np.uint32), term_ids.astype(np.uint32), weights.copy()

    def search(self, query: Any, k: int) -> Any:
        return self._search(*query, k, self._settings)

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        # Where it finds fewer than k, the rest of its arrays is uninitialised.
        found: npt.NDArray[np.int64] = result[0].ravel()
        found = found[(found >= 0) & (found < self._n_docs)]
        first: npt.NDArray[np.intp] = np.unique(found, return_index=True)[1]
        ranked: npt.NDArray[np.int64] = found[np.sort(first)]
        return ranked


def searcher(index: Any, *, query_prune_ratio: float, n_candidate: int) -> _Search:
    """Return an open index to be searched."""
    return _Search(index, query_prune_ratio=query_prune_ratio, n_candidate=n_candidate)
