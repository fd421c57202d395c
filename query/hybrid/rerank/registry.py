"""Rerankers by name: what `--rerank` takes. No model is loaded before there are candidates."""

from __future__ import annotations

from typing import Any

from lsr.errors import UsageError
from lsr.query.hybrid.dense_scores import DenseReranker
from lsr.query.hybrid.rerank import cross_encoder, late_interaction, slim
from lsr.query.hybrid.rerank.cross_encoder import CrossEncoderReranker
from lsr.query.hybrid.rerank.late_interaction import LateInteractionReranker
from lsr.query.hybrid.rerank.slim import SlimReranker
from lsr.query.hybrid.settings import Reranker

KINDS = (
    DenseReranker.name, f"{late_interaction.NAME}[:MODEL]", f"{slim.NAME}[:MODEL]", f"{cross_encoder.NAME}:MODEL",
)  # fmt: skip


def make_reranker(name: str, **options: Any) -> Reranker | None:
    """Return what `dense`, `late-interaction[:MODEL]`, `slim[:MODEL]` or `cross-encoder:MODEL` names.

    None, for the first, is what `Hybrid` takes for the dense vectors of the index. MODEL is a folder or a name on the
    hub. options: `device`, `dtype` of the model. Raises UsageError for another name, and where a model is due.
    """
    kind, colon, model = name.partition(":")
    if kind == DenseReranker.name and not colon:
        return None
    if kind == late_interaction.NAME and bool(model) == bool(colon):
        return LateInteractionReranker(model or None, **options)
    if kind == slim.NAME and bool(model) == bool(colon):
        return SlimReranker(model or None, **options)
    if kind == cross_encoder.NAME:
        if not model:
            raise UsageError(
                "a cross-encoder is a model: name its folder, or its name on the hub, as "
                f"{cross_encoder.NAME}:cross-encoder/ms-marco-MiniLM-L6-v2"
            )
        return CrossEncoderReranker(model, **options)
    raise UsageError(f"no reranker {name!r}: there are {', '.join(KINDS)}")
