"""Sample of the terms that a step computes, in place of the whole vocabulary.

A loss over an inference-free query side needs the documents' weights of the batch's query terms only; all others serve
the regulariser, for which a random sample suffices, each term standing for several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TermSample:
    """Sample of terms. term_ids: int64, ascending, (n_terms). counts: float32, number of terms that each stands for."""

    term_ids: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float32]


def sample_terms(wanted: npt.NDArray[np.int64], vocab_size: int, n_others: int, rng: np.random.Generator) -> TermSample:
    """Return all wanted terms, standing for themselves, and a uniform sample of the others, standing for all of them.

    wanted: int64, any order, repetitions allowed. n_others: number of terms to draw, without replacement.
    """
    wanted = np.unique(wanted)
    is_other = np.ones(vocab_size, bool)
    is_other[wanted] = False
    others = np.flatnonzero(is_other)
    drawn = rng.choice(others, min(n_others, len(others)), replace=False)
    term_ids = np.concatenate([wanted, drawn])
    counts = np.ones(len(term_ids), np.float32)
    if len(drawn):
        counts[len(wanted) :] = len(others) / len(drawn)
    order = np.argsort(term_ids, kind="stable")
    return TermSample(term_ids[order], counts[order])
