"""Self-attention of one text in float32: Vaswani et al., "Attention Is All You Need" (2017, arXiv:1706.03762)."""

from __future__ import annotations

import numpy as np

from lsr.kernels.encode.float_tiles import COLUMNS, FLOAT_ROWS, multiply_tile
from lsr.kernels.encode.functions import exponential
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.floats import divide, largest_of, root, sum_of


@kernel
def attend(projected, first, n_tokens, n_heads, size, distances, out):
    """Set a text's rows of out to the values that its tokens attend to.

    projected: float32 (rows · 3 · size): queries, keys and values of each token, the text's from row `first` on, and
    FLOAT_ROWS - 1 rows behind it, whatever they hold. out: float32 (rows · size). size / n_heads: a multiple of
    COLUMNS. distances: float32 (n_heads, 2 · n - 1), n ≥ n_tokens: added to a token's score for the one d places
    behind it, at column n - 1 + d; of no columns where distance doesn't matter.
    """
    width = size // n_heads
    across = 3 * size
    n_columns = -(-n_tokens // COLUMNS) * COLUMNS
    keys = np.zeros(size * n_columns, np.float32)
    values = np.empty(n_tokens * size, np.float32)
    scores = np.empty(FLOAT_ROWS * n_columns, np.float32)
    mixed = np.empty(FLOAT_ROWS * width, np.float32)
    scale = divide(np.float32(1), root(np.float32(width)))
    # All heads at once: so a token's keys and values are read one behind the other.
    for t in range(n_tokens):
        at = (first + t) * across + size
        for head in range(n_heads):
            place = head * width * n_columns + t
            for d in range(width):
                keys[place + d * n_columns] = projected[at + head * width + d]
            place = (head * n_tokens + t) * width
            for d in range(width):
                values[place + d] = projected[at + size + head * width + d]
    for head in range(n_heads):
        of_head, own = head * width * n_columns, head * n_tokens * width
        for row in range(0, n_tokens, FLOAT_ROWS):
            start = (first + row) * across + head * width
            for column in range(0, n_columns, COLUMNS):
                multiply_tile(
                    scores, column, n_columns, projected, start, across, keys, of_head + column, n_columns, width
                )  # fmt: skip
            n_rows = min(FLOAT_ROWS, n_tokens - row)
            for r in range(n_rows):
                of_row = scores[r * n_columns : (r + 1) * n_columns]
                if distances.shape[1]:
                    middle = distances.shape[1] // 2 - row - r
                    for j in range(n_tokens):
                        of_row[j] = of_row[j] * scale + distances[head, middle + j]
                    _weigh(of_row, n_tokens, np.float32(1))
                else:
                    _weigh(of_row, n_tokens, scale)
            for column in range(0, width, COLUMNS):
                multiply_tile(mixed, column, width, scores, 0, n_columns, values, own + column, width, n_tokens)
            for r in range(n_rows):
                total = divide(np.float32(1), sum_of(scores, r * n_columns, n_columns))
                of_token = mixed[r * width : (r + 1) * width]
                at = (first + row + r) * size + head * width
                target = out[at : at + width]
                for d in range(width):
                    target[d] = of_token[d] * total


@kernel
def _weigh(row, n_tokens, scale):
    """Set scores to exp(scale · (score - largest)), those of no token to 0. row: float32, a multiple of COLUMNS."""
    for j in range(n_tokens, row.size):
        row[j] = row[0]
    largest = largest_of(row, 0, row.size)
    for j in range(row.size):
        row[j] = exponential((row[j] - largest) * scale)
    for j in range(n_tokens, row.size):
        row[j] = np.float32(0)
