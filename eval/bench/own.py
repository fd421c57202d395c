"""Our own engine in the shape of the others."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.collection import SparseCollection
from lsr.eval.bench.engine import Setting
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.writer import IndexWriter
from lsr.query.engine.compile_ahead import COMPILING
from lsr.query.engine.engine import Engine, Ranking
from lsr.types import SparseBatch

PACKAGE = "lsr-search"
SETTINGS = (Setting("lsr", "lsr", {"reorder": True}),)
NOT_REORDERED = Setting("lsr, not reordered", "lsr, not reordered", {"reorder": False})


def pruned(mass: float) -> Setting:
    """Return the setting of an index whose documents are pruned to a share of their mass."""
    name = f"lsr, pruned to {mass:g}"
    return Setting(name, name, {"reorder": True, "prune": mass}, approximate=True)


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("lsr.query.searcher")


def build(
    documents: SparseBatch,
    _order: npt.NDArray[np.int64],
    folder: Path,
    *,
    reorder: bool,
    threads: int = 2,
    prune: float | None = None,
) -> None:
    """Build an index on disk, committed and synced. The documents come as they are: orders are for peers."""
    encoder = ReadyVectors()
    for term_id in range(documents.vocab_size):
        encoder.term_id(str(term_id))
    with IndexWriter(folder / "index", encoder, reorder=reorder, threads=threads, prune=prune) as writer:
        for batch, vectors in SparseCollection("", documents, documents).batches():
            writer.add(batch, vectors)
        writer.commit()


def open_index(folder: Path) -> StoredIndex:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    return StoredIndex.open(folder / "index")


def document_order(index: StoredIndex) -> npt.NDArray[np.int64]:
    """Return the positions of the documents in the order in which the index stores them: int64, (n_docs)."""
    parts, first = [np.empty(0, np.int64)], 0
    for segment in index.segments:
        parts.append(segment.postings.insertion.astype(np.int64) + first)
        first += segment.n_docs
    return np.concatenate(parts)


class OwnSearch:
    """An open index of ours, searched through its engine with arrays: by compiled code, for which it waits."""

    def __init__(self, index: StoredIndex, **options: Any) -> None:
        COMPILING.wait()
        self.engine = Engine(index)
        self._options = options

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        """Copy the arrays, so that no query shares a page with another."""
        return term_ids.copy(), weights.copy()

    def search(self, query: Any, k: int) -> Ranking:
        """Return the k best."""
        return self.engine.rank(query[0], query[1], k, **self._options)

    def positions(self, result: Ranking) -> npt.NDArray[np.int64]:
        """Return the positions of a ranking."""
        return result.positions


def searcher(index: StoredIndex, **options: Any) -> OwnSearch:
    """Return an open index to be searched. options: of `lsr.query.engine.engine.Engine.rank`."""
    return OwnSearch(index, **options)
