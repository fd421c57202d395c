"""Static pruning at build: of each document only the heaviest terms are indexed, those that hold most of its mass.

A document's mass is the sum of its weights. Source: the pruning by mass of SINDI (arXiv 2509.08395, "α-mass
subvector"); Lassance et al., "A Static Pruning Study on Sparse Neural Retrievers" (SIGIR 2023), on its effects. What it
costs is measured at the build, on a sample of the documents, since nothing of what is left out is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.errors import UsageError
from lsr.indexer.pruning import Pruning
from lsr.types import SparseBatch

SAMPLED, QUERIES, QUERY_TERMS, K = 4096, 100, 24, 10
"""Documents of the sample on which recall is measured (at most twice as many), its queries, their terms, results."""


def check_prune(mass: float, encoder: Encoder) -> None:
    """Raise UsageError for a share outside its range, and an encoder whose weights come after the documents."""
    if isinstance(mass, bool) or not isinstance(mass, int | float) or not 0 < mass < 1:
        raise UsageError(
            f"prune is {mass!r:.40}; it must be above 0 and below 1, the share of a document's mass to keep"
        )
    if encoder.corpus_weighting is not None:
        raise UsageError(
            f"prune is of learned vectors: {encoder.description['name']} weighs words by statistics of the corpus, "
            "which are known when all documents are in"
        )


def first_word(description: Mapping[str, Any]) -> int | None:
    """Return the least term id of an exact word, None where an encoder has none."""
    words = (description.get("settings") or {}).get("words")
    return None if words is None else int(words["n_model_terms"])


def prune_by_mass(batch: SparseBatch, mass: float, first_word: int | None = None) -> SparseBatch:
    """Keep of each row the fewest of its heaviest terms whose weights' sum is at least `mass` of all.

    Equal weights are kept or left out together, so that the result never depends on the machine. first_word: term id
    from which terms are exact words, all of which are kept, and counted in no sum (default: none are).
    """
    lengths = np.diff(batch.indptr)
    rows = np.repeat(np.arange(len(batch), dtype=np.int64), lengths)
    weights = np.ascontiguousarray(batch.weights, np.float32)
    counted = weights if first_word is None else np.where(batch.term_ids < first_word, weights, np.float32(0))
    # Bits of positive floats are in their order: one sort of all rows, the heaviest of each first.
    keys = (rows << 32) | (np.int64(0xFFFFFFFF) - counted.view(np.uint32).astype(np.int64))
    keys.sort()
    heaviest = (np.int64(0xFFFFFFFF) - (keys & 0xFFFFFFFF)).astype(np.uint32).view(np.float32)
    sums = np.cumsum(heaviest, dtype=np.float64)
    before = np.concatenate([[0.0], sums])[batch.indptr]
    held = sums - before[:-1][rows]
    totals = np.diff(before)
    # Those needed are all before which the sum isn't reached; the least of them is the limit.
    needed = held - heaviest < mass * totals[rows]
    least = np.full(len(batch), np.inf, np.float32)
    np.minimum.at(least, rows[needed], heaviest[needed])
    kept = counted >= least[rows]
    if first_word is not None:
        kept |= batch.term_ids >= first_word
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=len(batch)))]).astype(np.int64)
    return SparseBatch(indptr, batch.term_ids[kept], batch.weights[kept], batch.vocab_size)


class MassPruner:
    """Prunes documents as they come, counts what it leaves out, and keeps a sample of them unpruned."""

    def __init__(self, mass: float, first_word: int | None = None) -> None:
        self.mass = mass
        self.n_dropped = 0
        self._first_word = first_word
        self._sample: list[SparseBatch] = []
        self._n_seen = 0
        self._n_sampled = 0
        self._every = 1

    def prune(self, vectors: SparseBatch) -> SparseBatch:
        """Return the rows without their light terms."""
        if not len(vectors):
            return vectors
        pruned = prune_by_mass(vectors, self.mass, self._first_word)
        self.n_dropped += vectors.nnz - pruned.nnz
        self._take(vectors)
        return pruned

    def _take(self, vectors: SparseBatch) -> None:
        """Keep every n-th document, n being doubled, and every second one dropped, when there are too many."""
        wanted = np.flatnonzero((np.arange(self._n_seen, self._n_seen + len(vectors)) % self._every) == 0)
        self._n_seen += len(vectors)
        if len(wanted):
            self._sample.append(_rows_at(vectors, wanted))
            self._n_sampled += len(wanted)
        while self._n_sampled >= 2 * SAMPLED:
            together = SparseBatch.concatenate(self._sample)
            self._sample = [_rows_at(together, np.arange(0, len(together), 2))]
            self._n_sampled = len(self._sample[0])
            self._every *= 2

    def record(self, before: Pruning | None = None) -> Pruning:
        """Return what was done, for a manifest; before: what was done to earlier documents."""
        if before is not None:
            return replace(before, n_dropped=before.n_dropped + self.n_dropped)
        if not self._n_sampled:
            return Pruning(self.mass, self.n_dropped)
        sample = SparseBatch.concatenate(self._sample)
        pruned = prune_by_mass(sample, self.mass, self._first_word)
        return Pruning(self.mass, self.n_dropped, _recall(sample, pruned), len(sample))


def _rows_at(batch: SparseBatch, rows: npt.NDArray[np.int64]) -> SparseBatch:
    lengths = np.diff(batch.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(indptr[-1]) + np.repeat(batch.indptr[:-1][rows] - indptr[:-1], lengths)
    return SparseBatch(indptr, batch.term_ids[places], batch.weights[places], batch.vocab_size)


def _recall(whole: SparseBatch, pruned: SparseBatch) -> float | None:
    """Return the mean recall of pruned documents, the queries being the heaviest terms of some of them."""
    lengths = np.diff(whole.indptr)
    vocab_size = int(whole.term_ids.max(initial=-1)) + 1
    values = []
    for number in np.linspace(0, len(whole) - 1, min(QUERIES, len(whole))).astype(int).tolist():
        span = slice(int(whole.indptr[number]), int(whole.indptr[number + 1]))
        heaviest = np.argsort(-whole.weights[span], kind="stable")[:QUERY_TERMS]
        query = np.zeros(vocab_size, np.float32)
        query[whole.term_ids[span][heaviest]] = whole.weights[span][heaviest]
        true, found = _scores(whole, query, lengths), _scores(pruned, query, np.diff(pruned.indptr))
        true[number] = found[number] = 0.0  # every document finds itself
        k = min(K, int((true > 0).sum()))
        if k:
            best = np.argsort(-found, kind="stable")[:k]
            values.append(float((true[best] >= np.partition(true, len(true) - k)[len(true) - k]).mean()))
    return round(float(np.mean(values)), 4) if values else None


def _scores(rows: SparseBatch, query: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    products = query[rows.term_ids] * rows.weights
    return np.bincount(np.repeat(np.arange(len(rows)), lengths), weights=products, minlength=len(rows))
