"""Ranked lists of both legs for probes, kept once so that many settings can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.encoders.dense.base import JointEncoder
from lsr.encoders.registry import open_document_encoder, weigh_beside_dense
from lsr.indexer.encode.open_encoders import malformed_as_damage, open_dense_encoder_of
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.write.corpus_statistics import Statistics
from lsr.query.fusion.fuser import Fused
from lsr.query.fusion.ranked_list import Leg, pool
from lsr.query.hybrid.dense_scores import DenseReranker, ranked_leg, rows_at
from lsr.query.hybrid.dense_search import dense_leg, one_position_each
from lsr.query.hybrid.score_smoothing import draw_together
from lsr.query.hybrid.search import FEWER_DENSE, LEAST_SPARSE
from lsr.query.hybrid.settings import Hybrid
from lsr.query.queries import Query
from lsr.query.searcher import Searcher
from lsr.training.tuning.probes import Probe
from lsr.types import Document, SparseBatch

DEPTH = 200
"""Candidates of each leg that are kept: the most that a tuning chooses."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The vectors of the documents that stand in for others, a row each: impacts over the index's terms, and dense."""

    sparse: SparseBatch
    dense: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ProbeLegs:
    """A probe's ranked lists. sparse: by weight of words. row: dense vector of the document that stands in, if any."""

    probe: Probe
    sparse: dict[float | None, Leg]
    dense: Leg
    vector: npt.NDArray[np.float32]
    row: npt.NDArray[np.float32] | None

    def ndcg(self, docs: npt.NDArray[np.int64], same: Same, cutoff: int = 10) -> float:
        """Return nDCG@cutoff of a ranking of positions."""
        gains = {same(position): gain for position, gain in self.probe.relevant.items()}
        return ndcg_of([same(position) for position in docs[:cutoff].tolist()], gains, cutoff)


def ndcg_of(docs: Sequence[int], gains: Mapping[int, float], cutoff: int = 10) -> float:
    """Return nDCG@cutoff of a ranking. gains: relevance above 0 by document."""
    found = np.array([gains.get(doc, 0.0) for doc in docs[:cutoff]])
    best = np.sort(list(gains.values()))[::-1][:cutoff]
    discounts = 1.0 / np.log2(np.arange(2, cutoff + 2))
    return float((found * discounts[: len(found)]).sum() / (best * discounts[: len(best)]).sum())


class Same:
    """Number of a position's document: passages of one document count as one."""

    def __init__(self, searcher: Searcher) -> None:
        self._owners = searcher.owners

    def __call__(self, position: int) -> int:
        return position if self._owners is None else int(self._owners(np.array([position], np.int64))[0])


def collect(searcher: Searcher, probes: Sequence[Probe], weights: Sequence[float | None]) -> list[ProbeLegs]:
    """Search for all probes by both legs. weights: those of words to compare; None for the encoder's own."""
    index, description = searcher.index, searcher.index.manifest.encoder
    texts = [probe.text for probe in probes]
    changed = _encode_changed(index, [probe.changed for probe in probes if probe.changed is not None])
    plain = searcher.encode(texts)
    by_weight = {weight: weigh_beside_dense(plain, description, weight) for weight in weights}
    vectors = searcher.encoders.dense.encode_dense_queries(texts)
    same = Same(searcher)
    found, row = [], 0
    for number, (probe, vector) in enumerate(zip(probes, vectors, strict=True)):
        query = Query(*plain.row(number), dense=vector)
        other, _ = dense_leg(searcher, query, DEPTH)
        legs = {weight: _sparse_leg(searcher, queries.row(number)) for weight, queries in by_weight.items()}
        dense_row = None
        if probe.changed is not None and changed is not None:
            dense_row = changed.dense[row]
            term_ids, impacts = changed.sparse.row(row)
            other = _with_changed(other, probe.position, float(dense_row @ vector), same)
            for weight, queries in by_weight.items():
                score = _product(queries.row(number), term_ids, impacts)
                legs[weight] = _with_changed(legs[weight], probe.position, score, same)
            row += 1
        legs = {weight: one_position_each(searcher, (leg, other))[0] for weight, leg in legs.items()}
        found.append(ProbeLegs(probe, legs, other, vector, dense_row))
    return found


def rank_fused(searcher: Searcher, legs: ProbeLegs, hybrid: Hybrid, weight: float | None, k: int = 10) -> Fused:
    """Return the k best documents, as a union by `hybrid` ranks them. weight: of words in the sparse leg."""
    leg = _first(legs.sparse[weight], hybrid.depth)
    few = hybrid.neighbours is not None and len(leg) == hybrid.depth
    other = _first(legs.dense, hybrid.depth // FEWER_DENSE if few else hybrid.depth)
    if hybrid.neighbours is None:
        return hybrid.method((leg, other), k)
    candidates = pool((leg, other)).docs
    if not len(candidates):
        return hybrid.method((leg, other), k)
    rows = rows_at(searcher, candidates)
    if legs.row is not None:
        rows[candidates == legs.probe.position] = legs.row
    minimum = DenseReranker().minimum(searcher)

    def fuse(scores: npt.NDArray[np.float64]) -> Fused:
        return hybrid.method((leg, ranked_leg(candidates, scores, minimum)))

    return draw_together(rows, legs.vector, fuse, hybrid.neighbours).first(k)


def _sparse_leg(searcher: Searcher, vector: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]) -> Leg:
    ranking = searcher.rank_vector(vector, DEPTH)
    return Leg(ranking.positions, ranking.scores, LEAST_SPARSE)


def _first(leg: Leg, n: int) -> Leg:
    return Leg(leg.docs[:n], leg.scores[:n], leg.minimum)


def _with_changed(leg: Leg, position: int, score: float, same: Same) -> Leg:
    """Return a leg in which a document has another score; without it, where the others of the leg score more."""
    own = same(position)
    kept = np.array([same(other) != own for other in leg.docs.tolist()], bool)
    docs, scores = leg.docs[kept], leg.scores[kept]
    enters = score > 0 or leg.minimum != LEAST_SPARSE
    if enters and (len(docs) < DEPTH - 1 or score > scores[-1]):
        docs, scores = np.append(docs, position), np.append(scores, score)
        order = np.lexsort((docs, -scores))
        docs, scores = docs[order], scores[order]
    return Leg(docs, scores, leg.minimum)


def _product(
    query: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]],
    term_ids: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
) -> float:
    _, of_query, of_document = np.intersect1d(query[0], term_ids, assume_unique=True, return_indices=True)
    return float(query[1][of_query] @ weights[of_document])


def _encode_changed(index: StoredIndex, documents: Sequence[Document]) -> Changed | None:
    """Return the vectors that documents would have in an index. Raises EncoderError where its model can't be opened."""
    if not documents:
        return None
    manifest = index.manifest
    with malformed_as_damage(index):
        encoder = open_document_encoder(manifest.encoder, list(index.vocabulary))
    of_one_model = manifest.dense is not None and manifest.dense.get("revision") == manifest.encoder.get("revision")
    if of_one_model and isinstance(encoder, JointEncoder):
        rows, dense = encoder.encode_documents_jointly(documents)
    else:
        rows = encoder.encode_documents(documents)
        dense = open_dense_encoder_of(index).encode_dense_documents(documents)
    if encoder.corpus_weighting is not None:
        terms = np.arange(rows.vocab_size, dtype=np.int32)
        df = index.document_frequencies(terms)
        mean_length = float(manifest.statistics.get("mean_length", 0.0))
        rows = encoder.corpus_weighting.weigh(rows, Statistics(len(index), df, mean_length))
    impacts = np.clip(np.rint(rows.weights / manifest.scale), 1, 255) * manifest.scale
    sparse = SparseBatch(rows.indptr, rows.term_ids, impacts.astype(np.float32), rows.vocab_size)
    # Stored vectors have 16 bits, so these get the same rounding.
    return Changed(sparse, np.asarray(dense, np.float16).astype(np.float32))
