"""The families of learned sparse retrieval by name: each is a choice of parts.

Nguyen, MacAvaney and Yates, "A Unified Framework for Learned Sparse Retrieval" (ECIR 2023, arXiv:2303.13416), show
that the methods differ in few of them. A family says what a plain checkpoint is to be read as, or what a new encoder
is begun from; a saved model says itself what it is made of. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsr.encoders.config import EncoderConfig, TowerConfig, WideConfig
from lsr.errors import UsageError


@dataclass(frozen=True, slots=True)
class Family:
    """An encoder's parts, what its documents are expanded by, and where it was published."""

    config: EncoderConfig
    expansion: str
    paper: str


_MODEL = "by the model"
_TEXT = "by text added to the documents before"

_MLP = TowerConfig(head="mlp", activation="relu")

_FAMILIES = (
    Family(EncoderConfig("splade"), _MODEL, "Formal et al., SPLADE v2 (2021), arXiv:2109.10086"),
    Family(
        EncoderConfig("splade-sum", TowerConfig(pooling="sum")),
        _MODEL,
        "Formal et al., SPLADE (SIGIR 2021), arXiv:2107.05720",
    ),
    Family(
        EncoderConfig("splade-doc", query_side="binary"),
        _MODEL,
        "Formal et al., SPLADE v2 (2021), arXiv:2109.10086, section 3",
    ),
    Family(
        EncoderConfig("efficient-splade", query_side="own", query=TowerConfig()),
        _MODEL,
        "Lassance and Clinchant, An Efficiency Study for SPLADE Models (SIGIR 2022), arXiv:2207.03834",
    ),
    Family(
        EncoderConfig("slim", query=TowerConfig(pooling="sum")),
        _MODEL,
        "Li, Lin et al., SLIM: Sparsified Late Interaction (SIGIR 2023), arXiv:2302.06587",
    ),
    Family(
        EncoderConfig("splade-lexical", TowerConfig(expansion="input")),
        "none",
        "Formal et al., SPLADE v2 (2021), arXiv:2109.10086; Nguyen et al. (ECIR 2023), arXiv:2303.13416",
    ),
    Family(
        EncoderConfig("inference-free", query_side="table"),
        _MODEL,
        "Geng et al., Towards Competitive Search Relevance for Inference-Free LSR (2024), arXiv:2411.04403",
    ),
    Family(
        EncoderConfig("inference-free-l0", TowerConfig(activation="log1p(log1p(relu))"), "table"),
        _MODEL,
        "Shen et al., Exploring ℓ0 Sparsification for Inference-free Sparse Retrievers (SIGIR 2025), arXiv:2504.14839",
    ),
    Family(
        EncoderConfig("unicoil", _MLP),
        _TEXT,
        "Lin and Ma, A Few Brief Notes on DeepImpact, COIL, and … (2021), arXiv:2106.14807",
    ),
    Family(
        EncoderConfig("bge-m3", _MLP),
        "none",
        "Chen et al., BGE M3-Embedding (2024), arXiv:2402.03216",
    ),
    Family(
        EncoderConfig("denoising", _MLP, "own", query=_MLP),
        "none",
        "Chen et al., Revisiting Sparse Retrieval for Few-shot Entity Linking (EMNLP 2023), arXiv:2310.12444",
    ),
    Family(
        EncoderConfig("tildev2", _MLP, "binary"),
        _TEXT,
        "Zhuang and Zuccon, Fast Passage Re-ranking with Contextualized Exact Term Matching (2021), arXiv:2108.08513",
    ),
    Family(
        EncoderConfig("deepimpact", TowerConfig(head="mlp", mlp_layers=2, activation="relu"), "binary"),
        _TEXT,
        "Mallia et al., Learning Passage Impacts for Inverted Indexes (SIGIR 2021), arXiv:2104.12016",
    ),
    Family(
        EncoderConfig("deepct", _MLP, "binary"),
        "none",
        "Dai and Callan, Context-Aware Sentence/Passage Term Importance Estimation (2019), arXiv:1910.10687",
    ),
    Family(
        EncoderConfig("sparterm", TowerConfig(head="gated", activation="relu", pooling="sum")),
        _MODEL,
        "Bai et al., SparTerm (2020), arXiv:2010.00768",
    ),
    Family(
        EncoderConfig("sparc", TowerConfig(head="ngrams", activation="relu")),
        "none",
        "Lee et al., Contextualized Sparse Representations for Real-Time Open-Domain QA (ACL 2020), arXiv:1911.02896",
    ),
    Family(
        EncoderConfig("uhd", TowerConfig(head="wta", wide=WideConfig())),
        _MODEL,
        "Jang et al., Ultra-High Dimensional Sparse Representations with Binarization (EMNLP 2021), arXiv:2104.07198",
    ),
    Family(
        EncoderConfig("casper", TowerConfig(head="phrases")),
        _MODEL,
        "Do et al., CASPER: Concept-integrated Sparse Representation for Scientific Retrieval (2025), arXiv:2508.13394",
    ),
    Family(
        EncoderConfig("dyvo", TowerConfig(head="phrases")),
        _MODEL,
        "Nguyen et al., DyVo: Dynamic Vocabularies for LSR with Entities (EMNLP 2024), arXiv:2410.07722",
    ),
    Family(
        EncoderConfig("echo-splade", TowerConfig(head="causal", echo=True)),
        _MODEL,
        "Doshi et al., Mistral-SPLADE (2024), arXiv:2408.11119",
    ),
)

FAMILIES: dict[str, Family] = {}
"""The learned families by name; `bm25` is beside them (`lsr.encoders.lexical.bm25`), since it has no model."""


def register_family(family: Family) -> None:
    """Make a family known by the name in its config."""
    FAMILIES[family.config.family] = family


for _family in _FAMILIES:
    register_family(_family)


def family_config(name: str) -> EncoderConfig:
    """Return a family's parts. Raises UsageError for a name that isn't known."""
    if name not in FAMILIES:
        raise UsageError(f"no family {name!r}: known are {', '.join(FAMILIES)}")
    return FAMILIES[name].config
