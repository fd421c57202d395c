"""Memory of writing vectors that cost nothing to make, with as many terms as a model gives.

Run as `python memory_worker.py N_FEW N_MANY`: prints the peak above the start, in bytes, after so many documents.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.types import Document, SparseBatch

VOCAB_SIZE, TERMS = 30_522, 870


class Random:
    """An encoder of random vectors."""

    corpus_weighting = None

    def __init__(self) -> None:
        self.description: dict[str, Any] = {"kind": "random", "name": "random", "revision": "1", "query_side": "none"}
        self.terms = [f"term {i}" for i in range(VOCAB_SIZE)]
        self._random = np.random.default_rng(0)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        n = len(documents)
        ids = np.sort(self._random.integers(0, VOCAB_SIZE - TERMS, (n, TERMS)), axis=1) + np.arange(TERMS)
        weights = self._random.random(n * TERMS, np.float32) + np.float32(0.1)
        return SparseBatch(np.arange(n + 1) * TERMS, ids.ravel().astype(np.int32), weights, VOCAB_SIZE)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(n_few: int, n_many: int) -> None:
    before, after_few = peak_bytes(), 0

    def documents() -> Iterator[Document]:
        nonlocal after_few
        for i in range(n_many):
            if i == n_few:
                after_few = peak_bytes() - before
            yield Document(str(i), "some words " * 40)

    with tempfile.TemporaryDirectory() as folder:
        encode_corpus(documents(), Random(), Path(folder) / "vectors")  # type: ignore[arg-type]
    sys.stdout.write(json.dumps({"few": after_few, "many": peak_bytes() - before}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
