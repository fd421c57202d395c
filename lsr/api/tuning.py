"""Fitting of an index to its own documents: settings of hybrid search, and its model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_count, check_flag, check_path, shown
from lsr.api.reader import IndexReader
from lsr.api.wording import python_messages
from lsr.errors import UsageError

if TYPE_CHECKING:
    from lsr.api.opened import Opened
    from lsr.training.tuning.probes import Judgements


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Outcome of `Index.tune`: the settings that hybrid searches of the index now have, and what they were chosen on.

    Attributes:
        is_changed: whether they are others than the usual ones.
        settings: by name: weights `sparse` and `dense` of the legs, `words`, `share` of neighbours, `candidates`.
        usual: nDCG@10 of the usual settings on the queries; None after a reset.
        chosen: nDCG@10 of those chosen.
        legs: nDCG@10 of each leg.
        n_queries: number of queries.
        generation: generation of the index that has the settings.
    """

    is_changed: bool
    settings: Mapping[str, float | int | None]
    usual: float | None
    chosen: float | None
    legs: Mapping[str, float]
    n_queries: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedModel:
    """Outcome of `Index.tune_model`.

    Attributes:
        is_better: whether the trained model is better than that of the index, beyond chance.
        model: folder of the trained model, for `lsr.index(…, encoder=model)`.
        before: nDCG@10 of the index's model on the held-out queries, by terms alone.
        after: the same of the trained model.
        n_held_out: number of these queries.
        n_examples: number of examples that were taught.
        steps: number of steps of the training.
    """

    is_better: bool
    model: Path
    before: float
    after: float
    n_held_out: int
    n_examples: int
    steps: int


class TunableIndex(IndexReader):
    """An index with the methods that fit it to its documents; `lsr.Index` adds those that change these."""

    _is_named = True
    """False where the index was found in a folder above: one of another user is then not changed."""

    def _require_own(self) -> None:
        if not self._is_named:
            from lsr.indexer.storage.find_index import refuse_other_owner

            refuse_other_owner(self._path)

    @python_messages
    def tune(
        self, *, queries: Mapping[str, str] | None = None, qrels: Mapping[str, Mapping[str, int]] | None = None,
        made: int = 300, seed: int = 0, reset: bool = False, threads: int | None = None,
    ) -> Tuned:  # fmt: skip
        """Choose settings of hybrid search for this index, which its searches then have.

        Where none are better than the usual ones beyond chance, these stay.

        Args:
            queries: texts of judged queries by id, with `qrels` (default: queries are made from the documents).
            qrels: relevance by query id and doc_id.
            made: number of queries to make.
            seed: of the made queries.
            reset: choose nothing, and return to the usual settings.
            threads: number of worker threads (default: all cores).

        Raises:
            UsageError: the index has no dense vectors, or is a set of shards.
            LsrError: there is no query to tune with.
            IndexLockedError: another writer is at work.
        """
        from lsr.training.tuning.fusion import forget_tuning, tune_fusion, usual_of

        judged = _judgements(queries, qrels)
        made, seed = check_count(made, "made"), check_count(seed, "seed", least=0)
        threads = None if threads is None else check_count(threads, "threads")
        is_reset = check_flag(reset, "reset")
        if is_reset and judged is not None:
            raise UsageError("reset=True chooses nothing: leave out queries and qrels")
        self._require_own()
        with self._changing:
            opened: Opened = self._current
            if is_reset:
                generation = forget_tuning(self._path)
                usual = _settings(usual_of(opened.stored))
                self.refresh()
                return Tuned(is_changed=False, settings=usual, usual=None, chosen=None, legs={}, n_queries=0,
                             generation=generation)  # fmt: skip
            found = tune_fusion(
                self._path, n_queries=made, seed=seed, judged=judged, encoder=opened.encoder_place,
                dense=opened.dense_encoder_place, threads=threads,
            )  # fmt: skip
            self.refresh()
        choice = found.choice
        return Tuned(
            is_changed=choice.is_better, settings=_settings(choice.tuning), usual=choice.usual_ndcg,
            chosen=choice.chosen_ndcg, legs=dict(found.legs), n_queries=found.n_queries, generation=found.generation,
        )  # fmt: skip

    @python_messages
    def tune_model(
        self, output: str | Path, *, minutes: float, queries: Mapping[str, str] | None = None,
        qrels: Mapping[str, Mapping[str, int]] | None = None, made: int = 2_000, seed: int = 0,
        threads: int | None = None,
    ) -> TunedModel:  # fmt: skip
        """Train the model of this index further, taught by the index's own hybrid search, and compare both.

        The index stays as it is: index the texts again with the new model, if it is better.

        Args:
            output: folder of the training; the same call resumes one that was interrupted.
            minutes: minutes of training, beside making queries and comparing.
            queries: texts of judged queries by id, with `qrels`: half of them are taught beside the made ones, the
                other half compares the models (default: made queries alone).
            qrels: relevance by query id and doc_id.
            made: number of queries to make.
            seed: of queries and training.
            threads: number of worker threads (default: all cores).

        Raises:
            UsageError: the index has no dense vectors or no learned model, or is a set of shards.
            LsrError: there are too few queries, or the training fails.
        """
        from lsr.training.tuning.model import adapt_model

        judged = _judgements(queries, qrels)
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < math.inf:
            raise UsageError(f"minutes is {shown(minutes)}; it must be a number above 0")
        opened: Opened = self._current
        found = adapt_model(
            self._path, check_path(output, "output"), minutes=float(minutes), n_queries=check_count(made, "made"),
            seed=check_count(seed, "seed", least=0), judged=judged, encoder=opened.encoder_place,
            dense=opened.dense_encoder_place,
            threads=None if threads is None else check_count(threads, "threads"),
        )  # fmt: skip
        return TunedModel(
            is_better=found.is_better, model=found.model, before=found.before, after=found.after,
            n_held_out=found.n_held_out, n_examples=found.n_examples, steps=found.steps,
        )  # fmt: skip


def _settings(tuning: Any) -> dict[str, float | int | None]:
    return {name: value for name, value in tuning.to_json().items() if name != "chosen_on"}


def _judgements(queries: Any, qrels: Any) -> Judgements | None:
    """Return judged queries as they are given. Raises UsageError for one without the other, and for other types."""
    if queries is None and qrels is None:
        return None
    if queries is None or qrels is None:
        raise UsageError("judged queries have texts and judgements: give both queries and qrels, or neither")
    if not isinstance(queries, Mapping) or not all(isinstance(text, str) for text in queries.values()):
        raise UsageError(f"queries is {shown(queries)}; give a dict of texts by query id")
    if not isinstance(qrels, Mapping) or not all(
        isinstance(judged, Mapping) and all(type(gain) is int for gain in judged.values()) for judged in qrels.values()
    ):
        raise UsageError(f"qrels is {shown(qrels)}; give a dict of dicts: whole numbers by query id and doc_id")
    return queries, qrels
