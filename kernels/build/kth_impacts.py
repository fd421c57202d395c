"""The k-th largest impact of each term, from which a query's initial threshold is computed.

If a term's k-th largest impact is m, k documents score at least weight · m, so that a document of a lower
score is not among the k best. Source: Petri et al., "Accelerated Query Processing Via Similarity
Score Prediction", SIGIR 2019 (the largest of the terms' k-th scores); Mallia et al., SIGIR 2024.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.jit.compile import kernel

COUNTED_AT_ONCE = 1 << 15
"""Terms whose impacts are counted in one reading of the postings: at most 16 MiB of counts."""

MOST = 65_535
"""Number that a count stops at, so that 16 bits hold it: far above all of `geometry.STORED_K`."""


@kernel
def kth_impacts(indptr, term_ids, impacts, n_terms, stored_k):
    """Return the stored_k[j]-th largest impact of each term: uint8 (n_terms, stored_k.size), 0 where df is less.

    stored_k: int64, ascending, none above MOST.
    """
    out = np.zeros((n_terms, stored_k.size), np.uint8)
    counts = np.empty((min(n_terms, COUNTED_AT_ONCE), 256), np.uint16)
    for first in range(0, n_terms, COUNTED_AT_ONCE):
        n = min(COUNTED_AT_ONCE, n_terms - first)
        counts[:n] = 0
        for p in range(indptr[indptr.size - 1]):
            t = np.int64(term_ids[p]) - first
            if 0 <= t < n and counts[t, impacts[p]] < MOST:
                counts[t, impacts[p]] += np.uint16(1)
        for t in range(n):
            seen = 0
            j = 0
            for impact in range(255, 0, -1):
                seen += np.int64(counts[t, impact])
                while j < stored_k.size and seen >= stored_k[j]:
                    out[first + t, j] = impact
                    j += 1
    return out
