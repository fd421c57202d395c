"""Settings of the searches that an evaluation makes, and their short forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lsr.errors import UsageError
from lsr.query.engine.approximate import Approximate
from lsr.query.feedback import Feedback
from lsr.query.hybrid.rerank.registry import make_reranker
from lsr.query.hybrid.settings import Hybrid


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Settings of an index's search in an evaluation.

    hybrid: fusion with a second leg (default: none). feedback: expansion by the first documents (default: none).
    approximate: settings of an approximate search (default: exact, or as the searcher given does it). where: a filter
    of documents in the language of docs/FILTERS.md (default: all).
    """

    hybrid: Hybrid | None = None
    feedback: Feedback | None = None
    approximate: Approximate | None = None
    where: str | None = None

    @classmethod
    def of(
        cls,
        *,
        hybrid: Hybrid | str | None = None,
        rerank: str | None = None,
        feedback: Feedback | int | None = None,
        approximate: Approximate | Mapping[str, Any] | str | None = None,
        where: str | None = None,
    ) -> SearchSettings:
        """Return settings from their short forms.

        hybrid: a mode, "rerank" or "union". rerank: a reranker, `cross-encoder:MODEL` or `late-interaction:MODEL`.
        feedback: number of documents. approximate: a mapping or `alpha=0.8,query_cut=8`. Raises UsageError for a value
        of another kind or out of its range.
        """
        if rerank is not None:
            if hybrid is not None:
                raise UsageError(f"rerank={rerank!r} and hybrid={hybrid!r} both name the second leg: give one")
            hybrid = Hybrid(
                reranker=make_reranker(_checked("rerank", rerank, str, "a name such as cross-encoder:MODEL"))
            )
        if isinstance(hybrid, str):
            hybrid = Hybrid(mode=hybrid)
        if isinstance(feedback, int) and not isinstance(feedback, bool):
            feedback = Feedback(n_docs=feedback)
        if isinstance(approximate, str):
            approximate = Approximate.parse(approximate)
        if isinstance(approximate, Mapping):
            unknown = sorted(approximate.keys() - {"alpha", "superblocks", "query_cut"})
            if unknown:
                raise UsageError(f"approximate: unknown {', '.join(unknown)}; there are alpha, superblocks, query_cut")
            approximate = Approximate(**approximate)
        return cls(
            hybrid=_checked("hybrid", hybrid, Hybrid, '"rerank", "union" or a Hybrid'),
            feedback=_checked("feedback", feedback, Feedback, "a number of documents or a Feedback"),
            approximate=_checked("approximate", approximate, Approximate, "settings by name, or an Approximate"),
            where=_checked("where", where, str, "a filter as text"),
        )

    def describe(self) -> dict[str, Any]:
        """Return what a result's description says of the settings that differ from a plain search."""
        told: dict[str, Any] = {}
        if self.hybrid is not None:
            told["hybrid"] = {
                "mode": self.hybrid.mode,
                "method": self.hybrid.method.name,
                "candidates": self.hybrid.candidates,
                "reranker": None if self.hybrid.reranker is None else self.hybrid.reranker.name,
                "neighbours": None if self.hybrid.neighbours is None else asdict(self.hybrid.neighbours),
            }
        if self.feedback is not None:
            told["feedback"] = asdict(self.feedback)
        if self.where is not None:
            told["where"] = self.where
        return told


def _checked(name: str, value: Any, kind: type, accepted: str) -> Any:
    if value is not None and not isinstance(value, kind):
        raise UsageError(f"{name}: {value!r} is {type(value).__name__}; give {accepted}")
    return value
