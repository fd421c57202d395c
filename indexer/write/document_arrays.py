"""The arrays of a new segment that are made from its documents, each by a function of `MAKERS`.

Those of the postings are made together, by `lsr.indexer.write.invert`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.arrays import POSITION
from lsr.indexer.write.segment_builder import Pending

Made = dict[str, npt.NDArray[Any]]


def id_table(hashes: npt.NDArray[np.uint64]) -> Made:
    """Return `id_hash`, the hashes in ascending order, and `id_row`, the row of each. hashes: by row."""
    id_row = np.argsort(hashes, kind="stable").astype(np.uint32)
    return {"id_hash": hashes[id_row], "id_row": id_row}


MAKERS: list[Callable[[Pending], Made]] = [
    lambda pending: id_table(pending.id_hashes),
    lambda pending: pending.document_checksums,
    lambda pending: {} if pending.positions is None else {POSITION.name: pending.positions},
]
"""Functions from the collected documents of a segment to some of its arrays by name."""


def document_arrays(pending: Pending) -> Made:
    """Return the arrays that are made from the documents of a finished segment."""
    return {name: array for make in MAKERS for name, array in make(pending).items()}
