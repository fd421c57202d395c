"""Settings of a hybrid search, and the protocol of rerankers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.hybrid_tuning import FEWEST, MOST, HybridTuning
from lsr.io.option_spec import is_number, is_whole_number
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.registry import DEFAULT_FUSER, RANKS_ALONE, make_fuser
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.queries import Query

if TYPE_CHECKING:
    from lsr.query.sparse_search import SparseSearch

RERANK, UNION = "rerank", "union"
MODES = (RERANK, UNION)
USUAL_CANDIDATES = 100
"""Candidates of each leg, where neither a search nor the index says how many."""

RERANKER_PARTS = ("name", "minimum", "scores")
"""Attributes of every reranker."""

USUAL_NEIGHBOURS = Neighbours()
"""Default of `Hybrid`: this very object stands for no choice, and is replaced by what suits the index."""


class Reranker(Protocol):
    """Scores candidates that the sparse leg found. Safe to use from many threads."""

    @property
    def name(self) -> str:
        """The name of its leg."""
        ...

    def minimum(self, search: SparseSearch) -> float | None:
        """Return the least score that it can give, None if it is unknown."""
        ...

    def scores(self, search: SparseSearch, query: Query, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return a finite score of each position, the higher the better."""
        ...


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Settings of a hybrid search: what joins the sparse leg, and how their scores are fused.

    Attributes:
        mode: `rerank` scores what the sparse leg found; `union` searches by dense vectors too, and fuses what either
            leg found.
        candidates: number of documents of each leg, 10 to 1,000; never fewer than are wanted (default: the index's own
            where it was tuned, else 100).
        fuser: name of a fusion method, or a fuser with weights for the sparse and the other leg, in that order
            (default: `min-max`, with the weights of a tuned index, else equal ones).
        reranker: what scores candidates (default: the dense vectors of the index).
        neighbours: how fused scores are drawn towards those of candidates with near dense vectors, all of which are
            scored by them then, and whose `union` takes fewer from the dense leg; None: not at all, as with a
            reranker, and by default with `rrf`, which knows ranks only and would lose by it.
        word_weight: weight of exact words in the sparse leg, where the encoder has such (default: that of a tuned
            index, else the encoder's beside dense vectors).

    Raises:
        UsageError: a value is of another type or outside its range.

    Example:
        >>> import lsr
        >>> hybrid = lsr.Hybrid(mode="union", candidates=50, fuser="rrf")
        >>> hybrid.mode, hybrid.candidates
        ('union', 50)
    """

    mode: str = RERANK
    candidates: int | None = None
    fuser: Fuser | str = field(default_factory=make_fuser)
    reranker: Reranker | None = None
    neighbours: Neighbours | None = USUAL_NEIGHBOURS
    word_weight: float | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if not isinstance(self.mode, str) or self.mode not in MODES:
            raise UsageError(f"hybrid: no mode {self.mode!r:.60}; there are {' and '.join(MODES)}")
        count = self.candidates
        if count is not None and (not is_whole_number(count) or not FEWEST <= count <= MOST):
            raise UsageError(f"hybrid: {count!r:.60} candidates; give {FEWEST} to {MOST:,}")
        if isinstance(self.fuser, str):
            object.__setattr__(self, "fuser", make_fuser(self.fuser))
        if not isinstance(self.fuser, Fuser):
            raise UsageError(f"hybrid: the fuser is {self.fuser!r:.60}; give the name of one, or a Fuser")
        if self.neighbours is not None and not isinstance(self.neighbours, Neighbours):
            raise UsageError(f"hybrid: neighbours is {self.neighbours!r:.60}; give a Neighbours, or None")
        if self.reranker is not None and not all(hasattr(self.reranker, part) for part in RERANKER_PARTS):
            raise UsageError(f"hybrid: the reranker is {self.reranker!r:.60}; give a Reranker")
        if self.reranker is not None or (self.neighbours is USUAL_NEIGHBOURS and self.method.name == RANKS_ALONE):
            object.__setattr__(self, "neighbours", None)
        weights = self.method.weights
        if weights is not None and len(weights) != 2:
            raise UsageError(f"hybrid: {len(weights)} weights; give two, for the sparse and the other leg")
        weight = self.word_weight
        if weight is not None and not (is_number(weight) and weight > 0):
            raise UsageError(f"hybrid: word_weight is {weight!r:.60}; it must be a number above 0")
        if self.mode == UNION and self.reranker is not None:
            raise UsageError("hybrid: union takes its second leg from dense vectors; a reranker goes with rerank")

    @property
    def method(self) -> Fuser:
        """The fuser."""
        assert isinstance(self.fuser, Fuser)
        return self.fuser

    @property
    def depth(self) -> int:
        """Number of candidates of each leg."""
        return self.candidates or USUAL_CANDIDATES

    @property
    def needs_dense(self) -> bool:
        """True where queries are needed as dense vectors."""
        return self.reranker is None

    def settled(self, tuning: HybridTuning | None) -> Hybrid:
        """Return the same with an index's own settings where none were asked for. tuning: of the index, if any.

        The weights are of `min-max` scores of dense vectors, so any other method or reranker keeps its usual ones.
        """
        if tuning is None or self.reranker is not None:
            return self
        fuser, neighbours = self.method, self.neighbours
        if fuser.name == DEFAULT_FUSER and fuser.weights is None:
            fuser = make_fuser(weights=(tuning.sparse, tuning.dense))
        if neighbours is USUAL_NEIGHBOURS:
            neighbours = replace(USUAL_NEIGHBOURS, share=tuning.share) if tuning.share else None
        return replace(
            self,
            fuser=fuser,
            neighbours=neighbours,
            candidates=self.candidates or tuning.candidates,
            word_weight=tuning.words if self.word_weight is None else self.word_weight,
        )


def hybrid_with(given: Hybrid | str | None, *, rerank: Any = None, weights: Any = None, **parts: Any) -> Hybrid:
    """Return a hybrid search with some parts replaced.

    given: a mode, or a `Hybrid`; None for the default mode. rerank: a `Reranker`, or the name of the dense vectors.
    weights: of the sparse and the other leg. parts: `candidates`, `fuser`, `neighbours`, `word_weight`. Raises
    UsageError.
    """
    if rerank is not None:
        parts["reranker"] = None if isinstance(rerank, str) else rerank
    if isinstance(parts.get("neighbours"), bool):
        parts["neighbours"] = Neighbours() if parts["neighbours"] else None  # asked for, so with any fuser
    if weights is not None:
        fuser = parts.get("fuser") or (given.method if isinstance(given, Hybrid) else DEFAULT_FUSER)
        parts["fuser"] = make_fuser(fuser if isinstance(fuser, str) else fuser.name, weights=weights)
    return replace(given, **parts) if isinstance(given, Hybrid) else Hybrid(mode=given or RERANK, **parts)
