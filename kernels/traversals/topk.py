"""The k best documents so far, in the one order: score descending, then order of insertion.

A key is `score << 32 | (2³² − 1 − position)`, position counting all documents of the index in the order
in which they were added: keys are unique, and of two hits the better has the larger key. The heap is
a min-heap of k keys, zeros before there are k. The *threshold* is `heap[0] >> 32`: a document that
scores less can't enter; one that scores just as much can, if it was added earlier. So a bound may
only be used to skip what lies strictly below the threshold.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.jit.compile import kernel

NO_FILTER = np.empty(0, np.uint64)
"""The bitmap that allows every document."""


@kernel
def key_of(score, position):
    """Return the key (uint64) of a document. score: uint32, above 0; position: below 2³²."""
    return np.uint64(score) << np.uint64(32) | (np.uint64(0xFFFFFFFF) - np.uint64(position))


@kernel
def replace_least(heap, key):
    """Put `key` in the place of the least key, heap[0], and restore the heap."""
    n = heap.size
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key


@kernel
def offer(scores, first, insertion, base, allowed, floor, heap):
    """Offer the documents first, first + 1, … with their scores to the heap, zero the scores, return the threshold.

    scores: uint32, fewer than 64 left over after whole superblocks; first: a multiple of 64. insertion:
    uint32, of all documents of the segment. base: documents in the segments before this one. allowed:
    uint64, bit d & 63 of word d >> 6 allowing document d, or empty. floor: uint64, at least 1: the
    least score that may enter, which the threshold returned is never below.
    """
    threshold = max(floor, heap[0] >> np.uint64(32))
    for i in range(scores.size):
        score = scores[i]
        scores[i] = 0
        if score >= threshold:
            doc = first + i
            if allowed.size and not (allowed[doc >> 6] >> np.uint64(doc & 63)) & np.uint64(1):
                continue
            key = key_of(score, base + np.int64(insertion[doc]))
            if key > heap[0]:
                replace_least(heap, key)
                threshold = max(floor, heap[0] >> np.uint64(32))
    return threshold
