"""The k best documents so far, in one order: score descending, then order of insertion.

A key is `score << 32 | (2³² − 1 − position)`, where position counts all documents of the index in the order in which
they were added: keys are unique, and of two hits the better has the larger key. The heap is a min-heap of k keys,
zeros before there are k. The *threshold* is `heap[0] >> 32`: a document that scores less can't enter; one that scores
the same can, if it was added earlier. So a bound may only skip what is strictly below the threshold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.jit.compile import kernel

NO_FILTER = np.empty(0, np.uint64)
"""The bitmap that allows every document."""


class Admission(NamedTuple):
    """The documents of a segment that may enter the heap.

    base: int64, the number of documents in the segments before this one. allowed: uint64, bit d & 63 of word d >> 6
    allows doc_ord d; empty allows all. initial_threshold: uint64, at least 1, the least score that may enter.
    """

    base: int
    allowed: npt.NDArray[np.uint64]
    initial_threshold: np.uint64


@kernel
def key_of(score, position):
    """Return the key (uint64) of a document. score: uint32, above 0; position: below 2³²."""
    return np.uint64(score) << np.uint64(32) | (np.uint64(0xFFFFFFFF) - np.uint64(position))


@kernel
def threshold_of(admission, heap):
    """Return the least score (uint64) with which a document may enter the heap."""
    return max(admission.initial_threshold, heap[0] >> np.uint64(32))


@kernel
def replace_least(heap, key):
    """Replace the least key, heap[0], by `key`, and restore the heap."""
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
def offer(scores, first, insertion, admission, heap):
    """Offer the documents first, first + 1, … with their scores to the heap, zero the scores, return the threshold.

    scores: uint32, fewer than 64 left over after whole superblocks; first: a multiple of 64. insertion: uint32, of
    all documents of the segment.
    """
    allowed = admission.allowed
    threshold = threshold_of(admission, heap)
    for i in range(scores.size):
        score = scores[i]
        scores[i] = 0
        if score >= threshold:
            doc = first + i
            if allowed.size and not (allowed[doc >> 6] >> np.uint64(doc & 63)) & np.uint64(1):
                continue
            key = key_of(score, admission.base + np.int64(insertion[doc]))
            if key > heap[0]:
                replace_least(heap, key)
                threshold = threshold_of(admission, heap)
    return threshold
