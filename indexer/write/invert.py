"""From spooled rows of weights to the arrays of a segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.arrays import COUNTS
from lsr.indexer.storage.checks_on_read import term_checksums
from lsr.indexer.storage.files import forget_pages
from lsr.indexer.write.reorder import by_bisection
from lsr.indexer.write.spill import Rows
from lsr.kernels.build import layout
from lsr.kernels.build.forward import take_rows
from lsr.kernels.build.kth_impacts import kth_impacts
from lsr.kernels.build.quantise import quantise
from lsr.kernels.geometry import LARGEST_IMPACT, STORED_K

HEADROOM = 1.1


def choose_scale(all_rows: Sequence[Rows], *, final: bool) -> float:
    """Return the weight that one impact stands for, for an index that begins with these rows.

    Whole weights up to 255 are kept as they are. Else the largest weight becomes 255, or a tenth less
    if more documents may come that have larger ones (not `final`).
    """
    largest, whole = 0.0, True
    for rows in all_rows:
        for _, weights in rows.live_stretches():
            largest = max(largest, float(weights.max(initial=0.0)))
            whole = whole and largest <= LARGEST_IMPACT and np.array_equal(weights, np.rint(weights))
    if whole:
        return 1.0
    return largest * (1.0 if final else HEADROOM) / LARGEST_IMPACT


def compact_terms(term_ids: npt.NDArray[np.int32], vocab_size: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[Any]]:
    """Return the ascending distinct term ids, and the positions among them of all term_ids."""
    df = np.zeros(vocab_size, np.int64)
    layout.count_terms(term_ids, df)
    terms = np.flatnonzero(df).astype(np.uint32)
    local = np.zeros(vocab_size, np.uint16 if len(terms) <= 1 << 16 else np.uint32)
    local[terms] = np.arange(len(terms))
    return terms, local[term_ids]


def segment_arrays(
    rows: Rows,
    scale: float,
    vocab_size: int,
    *,
    counts: npt.NDArray[Any] | None = None,
    order: npt.NDArray[np.int64] | None = None,
    reorder: bool,
    threads: int,
    advance: Callable[[int], None],
) -> tuple[dict[str, npt.NDArray[Any]], int]:
    """Quantise, reorder and invert rows; return the arrays of a segment by name, and how many weights were clipped.

    counts: what the weights were made from, kept for when they are computed again. order: doc_ord → row, where
    it is known. advance: called with the number of documents done, in total as many as there are rows.
    """
    impacts = np.empty(len(rows.weights), np.uint8)
    clipped = int(quantise(rows.weights, np.float32(scale), impacts))
    forget_pages(rows.weights)  # mapped files that are read through once would else add to the memory of the arrays
    arrays = inverted(
        rows.indptr, rows.term_ids, impacts, vocab_size,
        counts=counts, order=order, reorder=reorder, threads=threads, advance=advance,
    )  # fmt: skip
    return arrays, clipped


def inverted(
    indptr: npt.NDArray[np.int64],
    term_ids: npt.NDArray[np.int32],
    impacts: npt.NDArray[np.uint8],
    vocab_size: int,
    *,
    counts: npt.NDArray[Any] | None,
    order: npt.NDArray[np.int64] | None = None,
    reorder: bool,
    threads: int,
    advance: Callable[[int], None],
) -> dict[str, npt.NDArray[Any]]:
    """Reorder and invert rows of impacts; return the arrays of a segment by name. See `segment_arrays`."""
    terms, local = compact_terms(term_ids, vocab_size)
    forget_pages(term_ids)
    # Found before the inverted postings are there, so that its counts aren't held beside them.
    kth_impact = kth_impacts(indptr, local, impacts, len(terms), np.array(STORED_K, np.int64))
    n_docs = len(indptr) - 1
    if order is not None or not reorder:
        order = np.arange(n_docs, dtype=np.int64) if order is None else order
        advance(n_docs)
    else:
        order = by_bisection(indptr, local, len(terms), threads=threads, advance=advance)
    arrays = layout.build(indptr, local, impacts, len(terms), order)._asdict()
    arrays["terms"] = terms
    arrays["kth_impact"] = kth_impact
    arrays["term_crc"] = term_checksums(arrays)
    if counts is not None:
        arrays["counts"] = take_rows(order, indptr, _smallest(counts))
    return arrays


def _smallest(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers in the smallest unsigned dtype that holds them."""
    largest = int(counts.max(initial=0))
    return counts.astype(next(dtype for dtype in COUNTS.dtypes if largest < 1 << 8 * np.dtype(dtype).itemsize))
