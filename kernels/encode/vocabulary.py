"""The vocabulary head: every token scores every term, and only the largest score of each term is kept."""

from __future__ import annotations

import numpy as np

from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS, raise_tile
from lsr.kernels.jit.compile import kernel


@kernel
def largest_scores(activations, row_scales, indptr, layer, n_scored, scores):
    """Set scores, float32 (n_texts, panels · PANEL), to each text's largest logit of each term.

    activations: uint8, rows of layer.size, with row_scales, float32. indptr: int64 (n_texts + 1), each text's rows:
    multiples of TILE_ROWS, filled up by repeating a row of the text, which changes no maximum. layer: a `PackedLinear`.
    n_scored: number of panels. All texts share a panel while it is in the cache.
    """
    lowest = np.float32(-np.inf)
    for panel in range(n_scored):
        column = panel * PANEL
        scales, biases = layer.scales[column : column + PANEL], layer.biases[column : column + PANEL]
        for text in range(indptr.size - 1):
            largest = scores[text]
            own = largest[column : column + PANEL]
            own[:] = lowest
            for row in range(indptr[text], indptr[text + 1], TILE_ROWS):
                raise_tile(largest, activations, row_scales, row, layer, column)
            for j in range(PANEL):
                own[j] = own[j] * scales[j] + biases[j]


@kernel
def take_positive(scores, n_terms, term_ids, weights):
    """Write the terms of a text that score above 0, ascending; return their number.

    scores: float32 (≥ n_terms). term_ids: int32 (n_terms). weights: float32 (n_terms).
    """
    n = 0
    for term in range(n_terms):
        if scores[term] > np.float32(0):
            term_ids[n] = term
            weights[n] = scores[term]
            n += 1
    return n
