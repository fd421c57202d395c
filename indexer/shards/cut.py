"""Division of documents among shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.segment import hash_ids
from lsr.types import PASSAGE_OF, Document

DOCUMENT_WEIGHT = 16
"""Postings that a document weighs beside its own, so that documents without terms are divided, too."""


def owner_ids(documents: Iterable[Document]) -> list[str]:
    """Return the doc_ids of documents; of a passage, that of its document, from which it must not be parted."""
    return [str(document.fields.get(PASSAGE_OF, document.doc_id)) for document in documents]


def shards_of(doc_ids: Sequence[str], n_shards: int) -> npt.NDArray[np.int64]:
    """Return the shard of each document by the hash of its doc_id: int64."""
    return (hash_ids(doc_ids) % np.uint64(n_shards)).astype(np.int64)


def cut_ranges(lengths: npt.NDArray[np.int64], is_first: npt.NDArray[np.bool_], n_shards: int) -> list[range]:
    """Return a range of rows for each shard, of about as many postings each; some may be empty.

    lengths: postings of each row. is_first: the rows at which a document begins, where a range may begin.
    """
    n_rows = len(lengths)
    before = np.concatenate([[0], np.cumsum(lengths + DOCUMENT_WEIGHT)])
    due = before[-1] * np.arange(1, n_shards) / n_shards
    allowed = np.append(np.flatnonzero(is_first), n_rows)
    cuts = allowed[np.searchsorted(before[allowed], due, side="left")].tolist()
    return [range(first, last) for first, last in zip([0, *cuts], [*cuts, n_rows], strict=True)]
