"""Rows of a segment that are further passages of documents, told from their names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from lsr.indexer.storage.segment import Segment
from lsr.types import PASSAGE_MARK


def further_rows(segment: Segment) -> npt.NDArray[np.bool_]:
    """Return the rows that are passages, but not the first of their documents: bool, (n_docs).

    The names that early indexes gave may be doc_ids as well, so the fields of rows with such names decide.
    """
    found = [np.empty(0, bool)]
    early: list[int] = []
    start = 0
    for names in segment.documents.id_columns():
        found.append(pc.starts_with(names, PASSAGE_MARK).to_numpy(zero_copy_only=False))
        numbered = pc.match_substring_regex(names, "#[0-9]+$").to_numpy(zero_copy_only=False)
        early += (np.flatnonzero(numbered) + start).tolist()
        start += len(names)
    further = np.concatenate(found)
    names, owners = segment.documents.doc_ids(early), segment.documents.document_ids(early)
    further[early] |= np.array([name != owner for name, owner in zip(names, owners, strict=True)], bool)
    return further
