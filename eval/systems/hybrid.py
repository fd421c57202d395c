"""Legs and fusions side by side: a sparse encoder, a dense one, and what a hybrid search makes of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from lsr.encoders.dense.base import DenseEncoder, JointEncoder, dense_description
from lsr.encoders.registry import load_dense_encoder
from lsr.eval.data.datasets import CorpusSummary, Dataset
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.eval.harness import Options, evaluate_rankings
from lsr.eval.reports.provenance import Provenance
from lsr.eval.reports.results import Result
from lsr.eval.systems.dense_feedback import NAMES, feedback_runs
from lsr.eval.systems.systems import EncoderSystem
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.add_dense import add_dense
from lsr.io.progress import Progress
from lsr.query.feedback import Feedback
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.dense_search import dense_leg
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.search import with_dense
from lsr.query.hybrid.settings import FEWEST, MODES, MOST, Hybrid
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher

JOINT, USUAL = "joint", "all-MiniLM-L6-v2"
NEIGHBOURS = {"": None, " + neighbours": Neighbours()}
"""How candidates that are near one another are taken into account, by what it adds to the name of a fusion."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A fusion that is worse than its better leg on a dataset. metrics: of the first measure."""

    dataset: str
    fusion: str
    leg: str
    measure: str
    fusion_metric: float
    leg_metric: float

    def __str__(self) -> str:
        return (
            f"{self.dataset}: {self.fusion} loses to its leg {self.leg}: {self.measure} {self.fusion_metric:.4f}, "
            f"{self.leg_metric:.4f} alone"
        )


class HybridSystem:
    """A sparse encoder with dense vectors beside it: makes, or finds in the cache, the index, and searches it.

    dense: a dense model, or "joint" for the second vectors of the encoder itself; default, these where there are any,
    else all-MiniLM-L6-v2. methods: names of fusers. feedback: also measure feedback in the dense leg, the first method
    mixing the sparse one in. options: `device`, `dtype` of the dense model.
    """

    def __init__(
        self,
        sparse: EncoderSystem,
        dense: str | None,
        methods: Sequence[str],
        *,
        feedback: Feedback | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> None:
        self._sparse = sparse
        self._feedback = feedback
        self._dense_name = dense
        self._methods = methods
        self._progress = progress
        self._options = options
        self._dense: DenseEncoder | None = None

    def names(self) -> list[str]:
        """Return what the rows are called: the dense leg, a fusion a mode and method, and what has feedback."""
        dense = self._dense_called()
        both = f"{self._sparse.name}+{dense.rstrip('/').rpartition('/')[2]}"
        fusions = [f"{mode} {method}{more}" for mode in MODES for method in self._methods for more in NEIGHBOURS]
        return [f"{both}: {name}" for name in ("dense", *fusions, *(NAMES if self._feedback else ()))]

    def evaluate(
        self, sparse: Result, dataset: Dataset, summary: CorpusSummary, options: Options, provenance: Provenance
    ) -> Iterator[tuple[Result, Run]]:
        """Yield the result and the run of the dense leg, and of each fusion. sparse: what the sparse leg gave."""
        prepared = self._sparse.prepare(dataset)
        index = self._with_dense(prepared.index)
        searcher = Searcher(index)
        assert index.dense is not None
        # A model of its own is opened anew: it may have encoded the documents in 16 bits. A joint one is there already.
        encoder = self._dense if isinstance(self._dense, JointEncoder) else searcher.encoders.dense
        vectors = encoder.encode_dense_queries(list(dataset.queries.values()))
        queries = with_dense(searcher, prepared.queries, vectors)
        k = options.k + options.drop_identical_ids
        dense_about = dict(index.dense.description)
        names = iter(self.names())

        def result(run: Run, about: Mapping[str, Any]) -> tuple[Result, Run]:
            return evaluate_rankings(next(names), run, about, dataset, summary, options, provenance), run

        yield result(_dense_run(searcher, queries, dataset, k), dense_about)
        candidates = min(max(k, FEWEST), MOST)
        for mode in MODES:
            for method, neighbours in product(self._methods, NEIGHBOURS.values()):
                hybrid = Hybrid(mode=mode, candidates=candidates, fuser=make_fuser(method), neighbours=neighbours)
                found = searcher.rank(queries, k=k, hybrid=hybrid, threads=options.threads)
                rankings = zip(dataset.queries, found, strict=True)
                run = run_of(Ranking(query_id, searcher.doc_ids(r), r.scores) for query_id, r in rankings)
                about = {"kind": "hybrid", "mode": mode, "method": method, "candidates": candidates}
                about["neighbours"] = None if neighbours is None else asdict(neighbours)
                yield result(run, about | {"legs": [sparse.encoder, dense_about]})
        if self._feedback is not None:
            fuser = make_fuser(self._methods[0])
            for name, run in feedback_runs(searcher, queries, dataset, candidates, self._feedback, fuser).items():
                about = {"kind": "hybrid", "feedback": name, "method": fuser.name, **asdict(self._feedback)}
                yield result(run, about | {"legs": [sparse.encoder, dense_about]})

    def _with_dense(self, index: StoredIndex) -> StoredIndex:
        """Return the index with the dense vectors that are wanted, added now unless they are there."""
        encoder = self._load()
        wanted = dict(dense_description(encoder))
        if index.manifest.dense is None or dict(index.manifest.dense) != wanted:
            index.close()
            add_dense(index.path, encoder, overwrite=True, progress=self._progress)
            index = StoredIndex.open(index.path)
        return index

    def _load(self) -> DenseEncoder:
        if self._dense is None:
            name = self._dense_called()
            options = {} if name == JOINT else self._options
            self._dense = load_dense_encoder(name, sparse=self._sparse.encoder(), **options)
        return self._dense

    def _dense_called(self) -> str:
        return self._dense_name or (JOINT if isinstance(self._sparse.encoder(), JointEncoder) else USUAL)


def losses(results: Sequence[Result], measure: str) -> list[Loss]:
    """Return the fusions that are worse than a leg. results: of one dataset, the two legs first, then fusions."""
    better = max(results[:2], key=lambda result: result.measures[measure])
    return [
        Loss(fusion.dataset.name, fusion.system, better.system, measure, metric, better.measures[measure])
        for fusion in results[2:]
        if (metric := fusion.measures[measure]) < better.measures[measure]
    ]


def _dense_run(searcher: Searcher, queries: Queries, dataset: Dataset, k: int) -> Run:
    rankings = []
    for number, query_id in enumerate(dataset.queries):
        leg, _ = dense_leg(searcher, queries.row(number), k)
        rankings.append(Ranking(query_id, searcher.doc_ids_at(leg.docs), leg.scores))
    return run_of(rankings)
