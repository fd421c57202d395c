"""Repeated tokens of a text, counted after pooling: a maximum is blind to them.

As in BM25 it counts less the more often, and the less the longer the text is: Robertson and Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond" (2009). The form is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lsr.types import SparseBatch

USUAL_LENGTH = 100
"""Tokens of a text up to which a repeated token counts in full."""


def count_repeats(rows: SparseBatch, texts: Sequence[npt.NDArray[np.int64]], factor: float) -> SparseBatch:
    """Multiply the weights of repeated tokens.

    A token that a text has n times weighs 1 + factor · ln n · min(1, USUAL_LENGTH / length) times as much.

    texts: the token ids of each row's text, special ones left out. Terms that the row lacks stay away.
    """
    weights = rows.weights.copy()
    for row, ids in enumerate(texts):
        tokens, counts = np.unique(ids, return_counts=True)
        tokens, counts = tokens[counts > 1], counts[counts > 1]
        terms = rows.term_ids[rows.indptr[row] : rows.indptr[row + 1]]
        if not len(tokens) or not len(terms):
            continue
        at = np.minimum(np.searchsorted(terms, tokens), len(terms) - 1)
        found = terms[at] == tokens
        share = factor * min(1.0, USUAL_LENGTH / len(ids))
        weights[rows.indptr[row] + at[found]] *= (1 + share * np.log(counts[found])).astype(np.float32)
    return replace(rows, weights=weights)
