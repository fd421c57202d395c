"""Tuning of the fusion of an index's legs to its own documents: `lsr tune`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.threads import limited_threads
from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.set_in_manifest import set_tuning
from lsr.query.fusion.ranked_list import Leg
from lsr.query.hybrid.dense_scores import dense_of
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.settings import UNION, USUAL_CANDIDATES, Hybrid
from lsr.query.searcher import Searcher
from lsr.training.tuning.choose import (
    JUDGED,
    Choice,
    bar_of_made,
    choose,
    usual_settings,
    word_weights,
)
from lsr.training.tuning.legs import ProbeLegs, Same, collect, rank_fused
from lsr.training.tuning.probes import Judgements, judged_probes, made_probes

N_QUERIES = 300
"""Queries made by default."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tuned:
    """Outcome of a tuning: what was chosen, means of the legs on the same queries, and the index's generation."""

    choice: Choice
    queries: str
    n_queries: int
    legs: Mapping[str, float]
    generation: int


def tune_fusion(
    path: str | Path,
    *,
    n_queries: int = N_QUERIES,
    seed: int = 0,
    judged: Judgements | None = None,
    encoder: str | Path | None = None,
    dense: str | Path | None = None,
    threads: int | None = None,
) -> Tuned:
    """Choose settings of hybrid search for an index, and keep them with it, the usual ones included.

    n_queries, seed: of the queries made from its documents. judged: texts of queries by id, and relevance by query id
    and doc_id, instead of made queries. encoder, dense: present places of the index's models, if they were moved.
    threads: that encode (default: all cores). Raises UsageError for an index without dense vectors and for a set of
    shards, LsrError where there is no query to tune with, EncoderError where a model can't be opened.
    """
    refuse_set(path, "hybrid search is tuned for")
    with StoredIndex.open(path) as index, limited_threads(threads):
        dense_of(index)
        searcher = Searcher(index, encoder=encoder, dense_encoder=dense)
        probes = made_probes(index, n_queries, seed=seed) if judged is None else judged_probes(index, *judged)
        usual = usual_of(index)
        found = collect(searcher, probes, word_weights(usual.words))
        measure = Measure(searcher, found)
        legs = measure.legs(usual.words)
        choice = choose(usual, measure, bar=bar_of_made(legs, len(probes)) if judged is None else JUDGED)
    kind = "made queries" if judged is None else "judged queries"
    chosen_on = {
        "queries": kind,
        "n_queries": len(probes),
        "n_documents": len(index),
        "measure": "nDCG@10",
        "legs": {name: round(value, 4) for name, value in legs.items()},
        "usual": round(choice.usual_ndcg, 4),
        "chosen": round(choice.chosen_ndcg, 4),
    }
    manifest = set_tuning(path, replace(choice.tuning, chosen_on=chosen_on))
    return Tuned(choice, kind, len(probes), legs, manifest.generation)


class Measure:
    """nDCG@10 of every probe by its legs and by settings of fusion."""

    def __init__(self, searcher: Searcher, found: Sequence[ProbeLegs]) -> None:
        self._searcher = searcher
        self._found = found
        self._same = Same(searcher)

    def __call__(self, tuning: HybridTuning) -> Values:
        hybrid = Hybrid(UNION).settled(tuning)
        rankings = (rank_fused(self._searcher, legs, hybrid, tuning.words).docs for legs in self._found)
        return self._values(rankings)

    def legs(self, words: float | None) -> dict[str, float]:
        """Return the mean of each leg. words: their weight in the sparse leg."""
        lists: dict[str, list[Leg]] = {
            "sparse": [legs.sparse[words] for legs in self._found],
            "dense": [legs.dense for legs in self._found],
        }
        return {name: float(self._values(leg.docs for leg in found).mean()) for name, found in lists.items()}

    def _values(self, rankings: Any) -> Values:
        values = (legs.ndcg(docs, self._same) for legs, docs in zip(self._found, rankings, strict=True))
        return np.fromiter(values, np.float64, len(self._found))


def usual_of(index: StoredIndex) -> HybridTuning:
    """Return the settings that hybrid searches of an index have without a tuning."""
    words = index.manifest.encoder.get("settings", {}).get("words")
    config = {} if words is None else words["config"]
    own = config.get("beside_dense") or config.get("weight")
    return usual_settings(own, share=Neighbours().share, candidates=USUAL_CANDIDATES)


def forget_tuning(path: str | Path) -> int:
    """Take an index's own settings of hybrid search away; return its generation. Raises what `set_tuning` raises."""
    return set_tuning(path, None).generation
