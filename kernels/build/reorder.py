"""Reordering of documents by recursive graph bisection, so that similar documents share blocks.

Source: Dhulipala et al., "Compressing Graphs and Indexes with Recursive Graph Bisection", KDD 2016
(section 3), with the forward-index formulation of Mackenzie et al., ECIR 2019. A range of documents
is halved; documents are swapped between the halves while that lowers the estimated bits
Σ_t deg·log2(n / (deg + 1)) of both halves; then each half likewise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.jit.compile import kernel


class Rows(NamedTuple):
    """The forward index: indptr, int64, (n_docs + 1); term_ids, any unsigned, below the number of terms."""

    indptr: npt.NDArray[np.int64]
    term_ids: npt.NDArray[Any]


class SplitScratch(NamedTuple):
    """Arrays that splitting works in, (n_terms) each. left, right: int32, all zero on entry and on return.

    to_right, to_left: float32; touched: int64, undefined.
    """

    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    to_right: npt.NDArray[np.float32]
    to_left: npt.NDArray[np.float32]
    touched: npt.NDArray[np.int64]


@kernel
def make_split_scratch(n_terms):
    """Allocate scratch for splitting rows of terms below n_terms."""
    return SplitScratch(
        np.zeros(n_terms, np.int32),
        np.zeros(n_terms, np.int32),
        np.zeros(n_terms, np.float32),
        np.zeros(n_terms, np.float32),
        np.empty(n_terms, np.int64),
    )


@kernel
def _bits(degree, log_n, logs):
    """Estimate the bits of a posting list of `degree` out of 2**log_n documents; `logs[i]` is log2(i + 1)."""
    return degree * (log_n - logs[degree])


@kernel
def split_range(order, lo, mid, hi, rows, logs, scratch, max_rounds):
    """Arrange order[lo:hi] so that order[lo:mid] and order[mid:hi] share as few terms as swapping can reach.

    order: int64, a permutation, changed in place. rows: see `Rows`. logs: float32, log2(i + 1) for i ≤ hi - lo.
    scratch: see `SplitScratch`.
    """
    indptr, term_ids = rows.indptr, rows.term_ids
    left, right, to_right, to_left, touched = scratch
    n_left, n_right = mid - lo, hi - mid
    log_left, log_right = logs[n_left - 1], logs[n_right - 1]
    n_touched = 0
    for i in range(lo, hi):
        doc = order[i]
        for p in range(indptr[doc], indptr[doc + 1]):
            t = term_ids[p]
            if left[t] == 0 and right[t] == 0:
                touched[n_touched] = t
                n_touched += 1
            if i < mid:
                left[t] += 1
            else:
                right[t] += 1
    gain = np.empty(hi - lo, np.float32)
    for _ in range(max_rounds):
        for i in range(n_touched):
            t = touched[i]
            a, b = left[t], right[t]
            now = _bits(a, log_left, logs) + _bits(b, log_right, logs)
            if a > 0:
                to_right[t] = now - _bits(a - 1, log_left, logs) - _bits(b + 1, log_right, logs)
            if b > 0:
                to_left[t] = now - _bits(a + 1, log_left, logs) - _bits(b - 1, log_right, logs)
        for i in range(lo, hi):
            doc = order[i]
            total = np.float32(0)
            if i < mid:
                for p in range(indptr[doc], indptr[doc + 1]):
                    total += to_right[term_ids[p]]
            else:
                for p in range(indptr[doc], indptr[doc + 1]):
                    total += to_left[term_ids[p]]
            gain[i - lo] = -total
        # Of equal gains the first: an order that depends on no sorting routine and no version of one.
        best_left = np.argsort(gain[:n_left], kind="mergesort")
        best_right = np.argsort(gain[n_left:], kind="mergesort")
        swaps = 0
        for i in range(min(n_left, n_right)):
            a, b = best_left[i], n_left + best_right[i]
            if gain[a] + gain[b] >= 0:
                break
            doc_a, doc_b = order[lo + a], order[lo + b]
            for p in range(indptr[doc_a], indptr[doc_a + 1]):
                left[term_ids[p]] -= 1
                right[term_ids[p]] += 1
            for p in range(indptr[doc_b], indptr[doc_b + 1]):
                right[term_ids[p]] -= 1
                left[term_ids[p]] += 1
            order[lo + a], order[lo + b] = doc_b, doc_a
            swaps += 1
        if swaps * 200 <= n_left:
            break
    for i in range(n_touched):
        left[touched[i]] = 0
        right[touched[i]] = 0


@kernel
def middle(lo, hi, leaf):
    """Return where to halve lo:hi so that the left part is a multiple of `leaf`."""
    return lo + ((hi - lo + 2 * leaf - 1) // (2 * leaf)) * leaf


@kernel
def bisect_range(order, lo, hi, leaf, rows, n_terms, logs, max_rounds):
    """Bisect order[lo:hi] recursively down to runs of `leaf` documents. See `split_range`."""
    scratch = make_split_scratch(n_terms)
    stack = np.empty((128, 2), np.int64)
    stack[0, 0], stack[0, 1] = lo, hi
    depth = 1
    while depth:
        depth -= 1
        a, b = stack[depth, 0], stack[depth, 1]
        if b - a <= leaf:
            continue
        mid = middle(a, b, leaf)
        split_range(order, a, mid, b, rows, logs, scratch, max_rounds)
        stack[depth, 0], stack[depth, 1] = mid, b
        stack[depth + 1, 0], stack[depth + 1, 1] = a, mid
        depth += 2
