"""The posting list of one term, read with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import RUN


def term_postings(arrays: Mapping[str, npt.NDArray[Any]], term: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the doc_ords (int64) and impacts (uint8) of a term's posting list. arrays: of a segment."""
    row = int(arrays["row"][term])
    if row < 0:
        start = arrays["rare_start"]
        postings = arrays["rare"][start[-1 - row] : start[-row]]
        return (postings >> 8).astype(np.int64), (postings & 255).astype(np.uint8)
    start = arrays["frequent_start"]
    words = arrays["runs"][row].reshape(-1, RUN)[:, :2]
    docs = np.flatnonzero(np.unpackbits(words.astype("<u4").view(np.uint8).ravel(), bitorder="little"))
    impacts = arrays["frequent"][start[row] : start[row + 1]]
    if len(docs) != len(impacts):
        raise ValueError(f"{len(impacts)} impacts of {len(docs)} documents")
    return docs, impacts
