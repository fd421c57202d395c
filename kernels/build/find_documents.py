"""Lookup of a few documents in all posting lists of rare terms, by binary search."""

from __future__ import annotations

import numpy as np

from lsr.kernels.jit.compile import kernel


@kernel
def last_at_most(values, low, high, wanted):
    """Return the last place in low … high − 1 where `values`, ascending, is at most `wanted`; low if none."""
    left = high - low
    while left > 1:  # No branch to mispredict.
        half = left >> 1
        low += half * (values[low + half] <= wanted)
        left -= half
    return low


@kernel
def places_of(rare_start, rare, doc_ords):
    """Return the places of documents' postings among the rare ones: int64, ascending.

    rare_start, rare: see `layout.Postings`. doc_ords: int64, ascending, unique.
    """
    places = np.empty(64 * doc_ords.size, np.int64)
    n = 0
    for rank in range(rare_start.size - 1):
        start, stop = rare_start[rank], rare_start[rank + 1]
        if start == stop:
            continue
        for doc_ord in doc_ords:
            at = last_at_most(rare, start, stop, np.uint32(doc_ord << 8 | 255))
            if np.int64(rare[at] >> np.uint32(8)) == doc_ord:
                if n == places.size:
                    more = np.empty(2 * n, np.int64)
                    more[:n] = places
                    places = more
                places[n] = at
                n += 1
    return places[:n]
