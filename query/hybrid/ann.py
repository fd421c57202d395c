"""Approximate search over dense vectors by FAISS: which kind of index for which size, made, and searched.

HNSW: Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
World Graphs" (TPAMI 2020). IVF-PQ: Jégou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search" (TPAMI
2011). What either finds is scored again by the vectors themselves, so scores are exact, and only omissions are not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import MissingExtraError
from lsr.indexer.storage.dense_vectors import Halves

FLAT, HNSW, IVF_PQ = "flat", "hnsw", "ivf-pq"
MOST_FLAT, MOST_HNSW = 50_000, 1_000_000
"""Documents up to which all vectors are scored, and up to which a graph over them is held in memory."""

LINKS, BREADTH_OF_BUILD, LEAST_BREADTH = 32, 200, 128
CELLS_PER_ROOT, PROBED_PART, LEAST_PROBED = 4, 16, 16
CODE_BITS, DIMENSIONS_PER_CODE = 8, 4
TRAINED_PER_CELL = 64
OVERSAMPLED = 4
"""Times as many documents are taken from coarse codes as are wanted."""

_ROWS = 1 << 14


@dataclass(frozen=True, slots=True)
class AnnParameters:
    """Parameters of an index of vectors. cells, codes, seed: of `ivf-pq`; links, breadth: of `hnsw`."""

    kind: str
    cells: int = 0
    codes: int = 0
    links: int = 0
    breadth: int = 0
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return asdict(self)


def choose_parameters(n_docs: int, dimension: int) -> AnnParameters:
    """Return what suits a collection: all vectors, a graph, or cells of coarse codes."""
    if n_docs <= MOST_FLAT:
        return AnnParameters(FLAT)
    if n_docs <= MOST_HNSW:
        return AnnParameters(HNSW, links=LINKS, breadth=BREADTH_OF_BUILD)
    wanted = max(1, dimension // DIMENSIONS_PER_CODE)
    codes = next(number for number in range(wanted, 0, -1) if dimension % number == 0)
    return AnnParameters(IVF_PQ, cells=CELLS_PER_ROOT * math.isqrt(n_docs), codes=codes)


def faiss_library() -> Any:
    """Import FAISS. Raises MissingExtraError without it."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "dense") from error
    return faiss


def build(matrices: Sequence[Halves], parameters: AnnParameters, *, threads: int | None = None) -> Any:
    """Return a FAISS index of all rows, numbered through. Holds 2 bytes a number (`hnsw`), or a byte a code.

    threads: default, one a core.
    """
    faiss = faiss_library()
    dimension = matrices[0].shape[1]
    # A setting of the calling thread. Left at one, a process that forks later has no pool of threads to miss.
    faiss.omp_set_num_threads(threads or os.cpu_count() or 1)
    try:
        if parameters.kind == HNSW:
            index = faiss.IndexHNSWSQ(
                dimension, faiss.ScalarQuantizer.QT_fp16, parameters.links, faiss.METRIC_INNER_PRODUCT
            )
            index.hnsw.efConstruction = parameters.breadth
            index.is_trained = True  # 16 bits need no training
        else:
            coarse = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFPQ(
                coarse, dimension, parameters.cells, parameters.codes, CODE_BITS, faiss.METRIC_INNER_PRODUCT
            )
            index.cp.seed = index.pq.cp.seed = parameters.seed
            index.train(_sample(matrices, parameters.cells * TRAINED_PER_CELL, parameters.seed))
        for rows in _floats(matrices):
            index.add(rows)
    finally:
        faiss.omp_set_num_threads(1)
    return index


def search(
    index: Any, parameters: AnnParameters, query: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.int64]:
    """Return about the k nearest rows, or a few times as many where codes are coarse. allowed: bool, (n_rows)."""
    faiss = faiss_library()
    faiss.omp_set_num_threads(1)
    options: dict[str, Any] = {}
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        options["sel"] = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
    if parameters.kind == HNSW:
        settings = faiss.SearchParametersHNSW(efSearch=max(LEAST_BREADTH, 2 * k), **options)
    else:
        probed = min(parameters.cells, max(LEAST_PROBED, parameters.cells // PROBED_PART))
        settings = faiss.SearchParametersIVF(nprobe=probed, **options)
        k *= OVERSAMPLED
    _, rows = index.search(query[None], min(k, index.ntotal), params=settings)
    found: npt.NDArray[np.int64] = rows[0]
    return found[found >= 0]


def _floats(matrices: Sequence[Halves]) -> Iterator[npt.NDArray[np.float32]]:
    for matrix in matrices:
        for first in range(0, len(matrix), _ROWS):
            yield matrix[first : first + _ROWS].astype(np.float32)


def _sample(matrices: Sequence[Halves], n: int, seed: int) -> npt.NDArray[np.float32]:
    starts = np.cumsum([0, *map(len, matrices)])
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(starts[-1], min(n, int(starts[-1])), replace=False))
    parts = [
        matrix[chosen[(chosen >= start) & (chosen < start + len(matrix))] - start]
        for matrix, start in zip(matrices, starts, strict=False)
    ]
    return np.concatenate(parts).astype(np.float32)
