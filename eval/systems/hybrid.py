"""Legs and fusions side by side: a sparse encoder, a dense one, and what a hybrid search makes of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from lsr.encoders.dense.base import DenseEncoder, JointEncoder, dense_description
from lsr.encoders.registry import load_dense_encoder
from lsr.encoders.runtime import with_runtime
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.reports.results import Result
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.indexed_system import IndexedSystem, Prepared, search
from lsr.eval.systems.system import System, SystemRun
from lsr.indexer.hybrid_tuning import FEWEST, MOST
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.add_dense import add_dense
from lsr.io.progress import Progress
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.dense_search import dense_leg
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.search import with_dense
from lsr.query.hybrid.settings import MODES, Hybrid
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher

JOINT, USUAL = "joint", "all-MiniLM-L6-v2"
NEIGHBOURS = {"": None, " + neighbours": Neighbours()}
"""Settings for candidates that are near one another, by what they add to the name of a fusion."""


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


class DenseIndex(IndexedSystem):
    """The index of a sparse encoder, with dense vectors added to it unless it has the right ones.

    dense: a dense model, or "joint" for the second vectors of the encoder itself; default, these where there are any,
    else all-MiniLM-L6-v2. options: `device`, `dtype` of the dense model.
    """

    def __init__(
        self, sparse: EncoderSystem, dense: str | None = None, *, progress: Progress | None = None, **options: Any
    ) -> None:
        super().__init__(sparse.name, threads=sparse.threads)
        self._sparse = sparse
        self._dense_name = dense
        self._options = options
        self._progress = progress
        self._dense: DenseEncoder | None = None

    @property
    def dense_name(self) -> str:
        """The dense model."""
        return self._dense_name or (JOINT if isinstance(self._sparse.encoder(), JointEncoder) else USUAL)

    def _prepare(self, dataset: Dataset) -> Prepared:
        prepared = self._sparse.prepare(dataset)
        index = self._with_dense(prepared.searcher.index)
        searcher = Searcher(index)
        # A separate model is opened again: it may have encoded the documents in 16 bits. A joint one is there already.
        encoder = self._dense if isinstance(self._dense, JointEncoder) else searcher.encoders.dense
        vectors = encoder.encode_dense_queries(list(dataset.queries.values()))
        return replace(prepared, searcher=searcher, dense=vectors)

    def _with_dense(self, index: StoredIndex) -> StoredIndex:
        """Return the index with the dense vectors that are wanted, added now unless they are there."""
        encoder = self._load()
        wanted = with_runtime(dense_description(encoder), encoder)
        if index.manifest.dense is None or dict(index.manifest.dense) != wanted:
            index.close()
            self._sparse.forget()
            add_dense(index.path, encoder, overwrite=True, progress=self._progress)
            index = StoredIndex.open(index.path)
        return index

    def _load(self) -> DenseEncoder:
        if self._dense is None:
            name = self.dense_name
            options = {} if name == JOINT else self._options
            self._dense = load_dense_encoder(name, sparse=self._sparse.encoder(), **options)
        return self._dense


class DenseSystem:
    """The dense leg alone: exact search by the dense vectors of an index."""

    def __init__(self, index: DenseIndex, name: str) -> None:
        self._index = index
        self.name = name

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset by their dense vectors."""
        prepared = self._index.prepare(dataset)
        assert prepared.dense is not None
        queries = with_dense(prepared.searcher, prepared.queries, prepared.dense)
        rankings = []
        for number, query_id in enumerate(dataset.queries):
            leg, _ = dense_leg(prepared.searcher, queries.row(number), k)
            rankings.append(Ranking(query_id, prepared.searcher.doc_ids_at(leg.docs), leg.scores))
        return SystemRun(run_of(rankings), dense_facts(prepared))


class HybridSystem:
    """Both legs of an index fused, in a mode, by a method, with or without neighbours."""

    def __init__(self, index: DenseIndex, name: str, mode: str, method: str, neighbours: Neighbours | None) -> None:
        make_fuser(method)  # an unknown one is refused before hours of encoding
        self._index = index
        self.name = name
        self._mode, self._method, self._neighbours = mode, method, neighbours

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset by both vectors."""
        prepared = self._index.prepare(dataset)
        candidates = wanted_candidates(k)
        hybrid = Hybrid(
            mode=self._mode, candidates=candidates, fuser=make_fuser(self._method), neighbours=self._neighbours
        )
        options = SearchOptions(hybrid=hybrid)
        found = search(prepared, dataset, k, options, threads=self._index.threads, measured=False)
        about: dict[str, Any] = {"kind": "hybrid", "mode": self._mode, "method": self._method}
        about["candidates"] = candidates
        about["neighbours"] = None if self._neighbours is None else asdict(self._neighbours)
        about["legs"] = [sparse_facts(prepared), dense_facts(prepared)]
        return SystemRun(found.run, about)


def hybrid_systems(index: DenseIndex, methods: Sequence[str]) -> list[System]:
    """Return the dense leg of an index, and a fusion for each mode, method, and setting of neighbours."""
    prefix = leg_prefix(index)
    fusions = [
        HybridSystem(index, f"{prefix}{mode} {method}{more}", mode, method, neighbours)
        for mode, method, (more, neighbours) in product(MODES, methods, NEIGHBOURS.items())
    ]
    return [DenseSystem(index, f"{prefix}dense"), *fusions]


def leg_prefix(index: DenseIndex) -> str:
    """Return the beginning of the names of an index's legs and fusions: its two models."""
    return f"{index.name}+{index.dense_name.rstrip('/').rpartition('/')[2]}: "


def wanted_candidates(k: int) -> int:
    """Return the number of candidates of each leg where k results are wanted."""
    return min(max(k, FEWEST), MOST)


def sparse_facts(prepared: Prepared) -> dict[str, Any]:
    """Return the description of the sparse leg's encoder."""
    return dict(prepared.searcher.index.manifest.encoder)


def dense_facts(prepared: Prepared) -> dict[str, Any]:
    """Return the description of the dense leg's encoder."""
    dense = prepared.searcher.index.dense
    assert dense is not None
    return dict(dense.description)


def losses(results: Sequence[Result], measure: str) -> list[Loss]:
    """Return the fusions that are worse than a leg. results: of one dataset, the two legs first, then fusions."""
    better = max(results[:2], key=lambda result: result.measures[measure])
    return [
        Loss(fusion.dataset.name, fusion.system, better.system, measure, metric, better.measures[measure])
        for fusion in results[2:]
        if (metric := fusion.measures[measure]) < better.measures[measure]
    ]
