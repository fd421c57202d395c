"""Figures that others published, each with its source: what a leaderboard sets our own beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BEIR_13 = (
    "arguana",
    "climate-fever",
    "dbpedia-entity",
    "fever",
    "fiqa",
    "hotpotqa",
    "nfcorpus",
    "nq",
    "quora",
    "scidocs",
    "scifact",
    "trec-covid",
    "webis-touche2020",
)
"""The thirteen freely distributed datasets of BEIR that papers average over (without MS MARCO and CQADupStack)."""


@dataclass(frozen=True, slots=True)
class Published:
    """nDCG@10 of a system as its source prints it, none of it measured here.

    `beir13` is the mean over `BEIR_13` as the source prints it, or of the source's own thirteen figures.
    """

    system: str
    family: str
    parameters: str
    beir13: float | None
    source: str
    ndcg_10: Mapping[str, float] = field(default_factory=dict)


_PYSERINI = "Pyserini, BEIR regressions (castorini.github.io/pyserini/2cr/beir.html)"


def _thirteen(*values: float) -> dict[str, float]:
    return dict(zip(BEIR_13, values, strict=True))


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


_BM25 = _thirteen(
    0.3970, 0.1651, 0.3180, 0.6513, 0.2361, 0.6330, 0.3218, 0.3055, 0.7886, 0.1490, 0.6789, 0.5947, 0.4422
)
_SPLADE_PP_ED = _thirteen(
    0.5203, 0.2297, 0.4366, 0.7882, 0.3475, 0.6868, 0.3470, 0.5378, 0.8343, 0.1591, 0.7041, 0.7274, 0.2468
)

PUBLISHED = (
    Published("BM25 (Lucene, flat)", "lexical", "–", _mean(_BM25), f"{_PYSERINI}, condition bm25-flat", _BM25),
    Published(
        "all-MiniLM-L6-v2",
        "dense",
        "23 M",
        0.424,
        "MTEB results of sentence-transformers/all-MiniLM-L6-v2 (huggingface.co/spaces/mteb/leaderboard)",
        {"scifact": 0.645, "nfcorpus": 0.316},
    ),
    Published(
        "SPLADE++ EnsembleDistil",
        "sparse",
        "110 M",
        _mean(_SPLADE_PP_ED),
        f"{_PYSERINI}, condition splade-pp-ed; model: Formal et al., SIGIR 2022",
        _SPLADE_PP_ED,
    ),
    Published(
        "SPLADE-v3",
        "sparse",
        "110 M",
        0.517,
        "mean: model card of naver/splade-v3 (Lassance et al., arXiv:2403.06789); datasets: Anserini regressions"
        " beir-v1.0.0-*.splade-v3.cached",
        {"scifact": 0.7140, "nfcorpus": 0.3629},
    ),
    Published(
        "OpenSearch doc-v2-mini",
        "sparse, inference-free",
        "23 M",
        0.497,
        "model card of opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini",
        {"scifact": 0.700, "nfcorpus": 0.335},
    ),
    Published(
        "OpenSearch doc-v3-gte",
        "sparse, inference-free",
        "137 M",
        0.546,
        "model card of opensearch-project/opensearch-neural-sparse-encoding-doc-v3-gte; partly trained on BEIR's"
        " own training splits",
        {"scifact": 0.725, "nfcorpus": 0.360},
    ),
    Published(
        "BGE-base-en-v1.5",
        "dense",
        "110 M",
        0.550,
        f"{_PYSERINI}, condition bge-base-en-v1.5",
        {"scifact": 0.741, "nfcorpus": 0.374},
    ),
)
