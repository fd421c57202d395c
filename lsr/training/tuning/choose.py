"""Choice of a hybrid search's settings by the rankings that they give for probes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lsr.indexer.hybrid_tuning import HybridTuning

log = logging.getLogger(__name__)

Values = npt.NDArray[np.float64]

DENSE_WEIGHTS = (0.2, 0.35, 0.5, 0.65, 0.8)
WORD_FACTORS = (1 / 3, 2 / 3, 1.0, 2.0)
"""Weights of words that are compared, in multiples of the encoder's own beside dense vectors."""
SHARES = (0.0, 0.2, 0.4, 0.5)
CANDIDATES = (50, 100, 200)

MARGIN_MADE = 0.02
"""Gain of nDCG@10 on made queries from which settings are taken in place of the usual ones.

A made query shares words with its document that people would not use, which is worth up to .017 to settings that trust
words more, on collections where these lose .01 to .03 with people's queries (docs/notes/hybrid.md).
"""
ERRORS = 2.0
"""Standard errors of the mean difference that a gain must reach: less may be chance."""
WEAK = 0.72
"""Quotient of the legs' nDCG@10 on made queries below which the lower leg is weak.

The best settings are taken then. On four test collections, whose usual settings are good, the dense leg has .755 to .86
of the sparse one; on a collection of stories, where equal weights lose .037 of nDCG@10 to the sparse leg alone, .69.
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """Least gain over the usual settings: a mean difference, and a number of its standard errors."""

    margin: float = 0.0
    errors: float = ERRORS

    def admits(self, differences: Values) -> bool:
        """Tell whether a mean difference is above 0, and reaches the bar."""
        n = len(differences)
        error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        needed = max(self.margin, self.errors * error if self.errors else 0.0, 1e-9)
        return float(differences.mean()) >= needed


ENOUGH = 200
"""Made queries by which the quotient of the legs is known: of 50 it is off by .08 and more."""
JUDGED = Bar()
ANY_GAIN = Bar(errors=0.0)


def bar_of_made(legs: Mapping[str, float], n: int) -> Bar:
    """Return the bar for made queries. legs: nDCG@10 of the sparse and the dense leg on them. n: their number."""
    low, high = sorted(legs.values())
    return ANY_GAIN if low < WEAK * high and n >= ENOUGH else Bar(MARGIN_MADE)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen settings, the usual ones, and the mean nDCG@10 of both on all probes. is_better: they differ."""

    tuning: HybridTuning
    usual: HybridTuning
    chosen_ndcg: float
    usual_ndcg: float

    @property
    def is_better(self) -> bool:
        """True where other settings than the usual ones were chosen."""
        return self.tuning != self.usual


def usual_settings(words: float | None, *, share: float, candidates: int) -> HybridTuning:
    """Return the settings of an index that isn't tuned. words: the encoder's weight of words beside dense vectors."""
    return HybridTuning(sparse=0.5, dense=0.5, words=words, share=share, candidates=candidates)


def word_weights(words: float | None) -> list[float | None]:
    """Return the weights of words that are compared."""
    return [None] if words is None else [round(words * factor, 3) for factor in WORD_FACTORS]


def choose(usual: HybridTuning, measure: Callable[[HybridTuning], Values], *, bar: Bar) -> Choice:
    """Return settings that are better than the usual ones, or these.

    Weights of words and of the dense leg are compared together, then the share of neighbours, then the candidates.
    measure: nDCG@10 of every probe. bar: what the gain must reach.
    """
    before = measure(usual)
    best, values = usual, before
    steps: Sequence[Callable[[HybridTuning], Iterable[HybridTuning]]] = (_weights, _shares, _candidates)
    for others in steps:
        for tried in others(best):
            found = measure(tried)
            log.debug(f"{tried}: {found.mean():.4f}")
            if found.mean() > values.mean() + 1e-9:
                best, values = tried, found
    if not bar.admits(values - before):
        best, values = usual, before
    return Choice(best, usual, float(values.mean()), float(before.mean()))


def _weights(start: HybridTuning) -> Iterable[HybridTuning]:
    for words in word_weights(start.words):
        for dense in DENSE_WEIGHTS:
            yield replace(start, words=words, sparse=round(1 - dense, 2), dense=dense)


def _shares(start: HybridTuning) -> Iterable[HybridTuning]:
    return (replace(start, share=share) for share in SHARES)


def _candidates(start: HybridTuning) -> Iterable[HybridTuning]:
    return (replace(start, candidates=candidates) for candidates in CANDIDATES)
