"""The order of documents in a segment: alike ones next to each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.build.reorder import Rows, bisect_range, make_split_scratch, middle, split_range

LEAF = 8
ROUNDS = 10
SMALL = 1 << 13
"""Most documents of a range that one call bisects to its end.

Larger ranges are halved by a call each, so that progress is reported, and can be interrupted, every few seconds.
"""


def by_bisection(
    indptr: npt.NDArray[np.int64],
    term_ids: npt.NDArray[Any],
    n_terms: int,
    *,
    threads: int = 2,
    advance: Callable[[int], None],
) -> npt.NDArray[np.int64]:
    """Return doc_ord → row of the forward index, by recursive graph bisection.

    indptr: int64; term_ids: unsigned, below n_terms. advance: called with the number of documents done, in total
    as many as there are. The result depends on the rows alone, not on `threads`.
    """
    n_docs = len(indptr) - 1
    order = np.arange(n_docs, dtype=np.int64)
    logs = np.log2(np.arange(1, n_docs + 3, dtype=np.float32))
    rows, steps = Rows(indptr, term_ids), _Steps(n_docs, advance)

    def bisect(lo: int, hi: int) -> list[tuple[int, int]]:
        """Work on a range; return the ranges in it that are still to be done."""
        if hi - lo <= SMALL:
            bisect_range(order, lo, hi, LEAF, rows, n_terms, logs, ROUNDS)
            return []
        mid = int(middle(lo, hi, LEAF))
        split_range(order, lo, mid, hi, rows, logs, make_split_scratch(n_terms), ROUNDS)
        return [(lo, mid), (mid, hi)]

    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting = {pool.submit(bisect, 0, n_docs): n_docs}
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    steps.done(waiting.pop(future), whole=not future.result())
                    waiting |= {pool.submit(bisect, lo, hi): hi - lo for lo, hi in future.result()}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    steps.finish()
    return order


class _Steps:
    """Turns ranges done, on whatever level, into documents done."""

    def __init__(self, n_docs: int, advance: Callable[[int], None]) -> None:
        self._n_docs = n_docs
        self._advance = advance
        self._work = self._shown = 0
        self._total = max(1, n_docs * _levels(n_docs))

    def done(self, n: int, *, whole: bool) -> None:
        """Count a range of n documents that was halved, or, if `whole`, bisected to its end."""
        self._work += n * (_levels(n) if whole else 1)
        now = min(self._n_docs, self._n_docs * self._work // self._total)
        self._advance(now - self._shown)
        self._shown = now

    def finish(self) -> None:
        """Tell what rounding left."""
        self._advance(self._n_docs - self._shown)


def _levels(n_docs: int) -> int:
    return max(1, (n_docs // LEAF).bit_length())
