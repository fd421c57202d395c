"""From spooled rows of weights to the arrays of a segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.arrange import by_bisection
from lsr.indexer.spool import Rows
from lsr.kernels import layout
from lsr.kernels.quantise import LARGEST_IMPACT, quantise
from lsr.kernels.thresholds import STORED_K, kth_impacts

HEADROOM = 1.1


def choose_scale(all_rows: Sequence[Rows], *, final: bool) -> float:
    """Return the weight that one impact stands for, for an index that begins with these rows.

    Whole weights up to 255 are kept as they are. Else the largest weight becomes 255, or a tenth less
    if more documents may come that have larger ones (not `final`).
    """
    largest, whole = 0.0, True
    for rows in all_rows:
        for _, span in rows.stretches():
            weights = rows.weights[span]
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
    rows: Rows, scale: float, vocab_size: int, *, reorder: bool, threads: int, advance: Callable[[int], None]
) -> tuple[dict[str, npt.NDArray[Any]], int]:
    """Quantise, reorder and invert rows; return the arrays of a segment by name, and how many weights were clipped.

    advance: told how many documents are done, all in all as many as there are rows.
    """
    terms, local = compact_terms(rows.term_ids, vocab_size)
    impacts = np.empty(len(rows.weights), np.uint8)
    clipped = int(quantise(rows.weights, np.float32(scale), impacts))
    n_docs = len(rows.indptr) - 1
    if reorder:
        order = by_bisection(rows.indptr, local, len(terms), threads=threads, advance=advance)
    else:
        order = np.arange(n_docs, dtype=np.int64)
        advance(n_docs)
    postings = layout.build(rows.indptr, local, impacts, len(terms), order)
    arrays = postings._asdict()
    arrays["terms"] = terms
    arrays["kth_impact"] = kth_impacts(rows.indptr, local, impacts, len(terms), STORED_K)
    return arrays, clipped
