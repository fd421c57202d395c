"""From a config's values to what they name: encoder, losses, regularisers, controllers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lsr.encoders.config import EncoderConfig
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.errors import LsrError, UsageError
from lsr.training.config.config import EncoderSettings, LossSettings, SideSettings, TrainingConfig
from lsr.training.losses.base import Loss
from lsr.training.losses.distillation import kl
from lsr.training.losses.infonce import infonce
from lsr.training.losses.margin import margin_triplet
from lsr.training.losses.margin_mse import margin_mse
from lsr.training.model.start_folder import start_folder
from lsr.training.regularisers.base import Regulariser
from lsr.training.regularisers.df_flops import DFFLOPS
from lsr.training.regularisers.flops import FLOPS
from lsr.training.regularisers.idf_flops import IDFAwareFLOPS
from lsr.training.regularisers.l0_mask import L0Mask
from lsr.training.regularisers.l1 import L1
from lsr.training.sparsity.controller import SparsityController
from lsr.training.teachers.registry import model_folder
from lsr.types import Document

SAVED = "saved"
"""The family of an encoder that goes on as it was saved."""

ENSEMBLE_SCALE = 30.0
"""What normalised scores are multiplied by before the softmax, as Geng et al. (2024) have it."""


def encoder_config(settings: EncoderSettings) -> EncoderConfig:
    """Return the parts of the encoder: its family's, changed as the settings say."""
    values = family_config(settings.family).to_json()
    values["document"] |= settings.document
    if settings.query:
        values["query"] = (values["query"] or (values["document"] if values["query_side"] == "same" else {})) | dict(
            settings.query
        )
    if settings.query_repeats is not None:
        values["query_repeats"] = settings.query_repeats
    values |= _beside_the_model(settings)
    config = EncoderConfig.from_json(values)
    if settings.dense is not None:
        config = EncoderConfig.from_json({**values, "dense": dict(settings.dense)})
    return config


def _beside_the_model(settings: EncoderSettings) -> dict[str, Any]:
    """Return what a config says of words and rarity: no weight of the model depends on it."""
    said = {"words": settings.words, "rarity": settings.rarity}
    return {name: value for name, value in said.items() if value is not None}


def begin_encoder(
    settings: EncoderSettings, work: Path, *, seed: int, idf: Mapping[str, float] | None = None
) -> NeuralEncoder:
    """Begin the encoder that is to be trained, float32 on the CPU.

    work: a folder for what is made on the way. idf: by token, where the query table begins with it.
    Raises UsageError for parts that don't fit, EncoderError for checkpoints that can't be loaded.
    """
    if settings.family == SAVED:
        return _go_on(settings)
    config = encoder_config(settings)
    query = (settings.query_start or settings.start) if config.query_side == "own" else None
    if settings.query_start is not None and config.query_side != "own":
        raise UsageError(f"config: encoder.query_start is set, but in family {settings.family!r} queries have no model")
    if settings.query_table != "ones" and config.query_side != "table":
        raise UsageError(f"config: encoder.query_table is set, but in family {settings.family!r} queries have no table")
    if settings.learn_query_table and config.query_side != "table":
        raise UsageError(f"config: encoder.learn_query_table is set, but family {settings.family!r} has no table")
    document = start_folder(settings.start, settings.fit_head, work)
    encoder = start_encoder(
        config,
        document,
        query=None if query is None else start_folder(query, None, work),
        query_weights=idf,
        seed=seed,
        device="cpu",
        dtype="float32",
    )
    set_dropout(encoder, settings.dropout)
    return encoder


def _go_on(settings: EncoderSettings) -> NeuralEncoder:
    """Open an encoder that was saved before, heads and query table as they are, to be trained further."""
    plain = EncoderSettings(settings.start)
    names = ("query", "dense", "query_start", "fit_head", "query_table", "query_repeats")
    changed = [name for name in names if getattr(settings, name) != getattr(plain, name)]
    changed += [f"document.{name}" for name in settings.document if name != "pruning"]
    if changed:
        raise UsageError(
            f"config: encoder.{changed[0]} is set, but with family {SAVED!r} the encoder goes on as it is: leave it out"
        )
    folder = Path(locate(model_folder(settings.start)).folder)
    encoder = resume_encoder(settings, folder, **settings.document.get("pruning", {}))
    values = encoder.config.to_json() | _beside_the_model(settings)
    encoder = type(encoder)(
        EncoderConfig.from_json(values), encoder.name, encoder.revision, encoder.document, encoder.query
    )
    if settings.learn_query_table and not isinstance(encoder.query, TableQueryEncoder):
        raise UsageError(f"config: encoder.learn_query_table is set, but {settings.start} has no table")
    return encoder


def resume_encoder(settings: EncoderSettings, folder: Path, **pruning: Any) -> NeuralEncoder:
    """Open the encoder that a checkpoint holds, to be trained on. pruning: `top_k`, `threshold` in place of its own."""
    encoder = load_neural(folder, device="cpu", dtype="float32", **pruning)
    set_dropout(encoder, settings.dropout)
    return encoder


def set_dropout(encoder: NeuralEncoder, dropout: float | None) -> None:
    """Give all dropout layers another probability; None leaves the model's own."""
    if dropout is None:
        return
    for side in (encoder.document, encoder.query):
        for module in getattr(getattr(side, "tower", None), "modules", list)():
            # Attention keeps its probability as a number of its own.
            for name in ("p", "dropout_prob", "attention_dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, dropout)


def choose_attention(encoder: NeuralEncoder, *, precision: str, on_cpu: bool) -> None:
    """Let attention be computed as products and a softmax where that is faster: in bfloat16 on a CPU.

    There torch's fused attention takes three times as long backward; all in all a step gets a sixth faster.
    """
    if not on_cpu or precision != "bfloat16":
        return
    for side in (encoder.document, encoder.query):
        model = getattr(getattr(getattr(side, "tower", None), "backbone", None), "model", None)
        if model is not None and hasattr(model, "set_attn_implementation"):
            model.set_attn_implementation("eager")


def inverse_document_frequencies(
    documents: Iterable[Document], encoder: NeuralEncoder, *, largest: float
) -> Mapping[str, float]:
    """Return ln(1 + (N − df + ½) ÷ (df + ½)) of each token over documents, as BM25 has it, at most `largest`.

    Raises LsrError where there are no documents.
    """
    import numpy as np

    from lsr.encoders.text.tokenizer import TextTokenizer, copy_of

    tokenizer = TextTokenizer(copy_of(encoder.document.backend), max_length=512, special_tokens=False)
    df = np.zeros(encoder.document.tower.head.vocab_size, np.int64)
    n_docs = 0
    batch: list[str] = []

    def count() -> None:
        for encoding in tokenizer.encode(batch):
            df[np.unique(np.array(encoding.ids, np.int64))] += 1
        batch.clear()

    for document in documents:
        n_docs += 1
        batch.append(document.full_text)
        if len(batch) == 1024:
            count()
    if batch:
        count()
    if not n_docs:
        raise LsrError("encoder.query_table 'idf': there are no documents to count tokens in")
    idf = np.minimum(np.log1p((n_docs - df + 0.5) / (df + 0.5)), largest)
    return {term: float(weight) for term, weight in zip(encoder.terms, idf, strict=True)}


def make_losses(config: TrainingConfig) -> dict[str, tuple[float, Loss]]:
    """Return each ranking loss with its weight, by name."""
    return {name: (loss.weight, _loss(name, loss)) for name, loss in config.loss.items() if name != "regression"}


def candidates_of(name: str, loss: LossSettings) -> str:
    """Return whose documents a loss ranks: the paper's choice where the config has none."""
    return loss.candidates or ("batch" if name in ("infonce", "ensemble") else "own")


def make_regulariser(side: SideSettings, vocab_size: int) -> Regulariser:
    """Return a side's regulariser."""
    if side.regulariser == "l0-mask":
        return L0Mask(side.threshold)
    if side.regulariser == "df-flops":
        return DFFLOPS(vocab_size)
    kinds: dict[str, type[Regulariser]] = {"flops": FLOPS, "l1": L1, "idf-flops": IDFAwareFLOPS}
    return kinds[side.regulariser]()


def make_controller(side: SideSettings, steps: int) -> SparsityController | None:
    """Return what steers a side's weight to its target, None where the weight is given."""
    if side.target is None:
        return None
    horizon = side.horizon or min(500.0, max(10.0, steps / 20))
    return SparsityController(side.target, horizon, side.ramp or min(2000, steps // 3))


def _loss(name: str, settings: LossSettings) -> Loss:
    candidates = candidates_of(name, settings)
    if name == "infonce":
        return partial(infonce, temperature=settings.temperature, candidates=candidates)
    if name == "margin":
        return partial(margin_triplet, margin=settings.margin, candidates=candidates)
    scale: dict[str, Any] = {} if settings.scale is None else {"scale": settings.scale}
    if name == "margin_mse":
        return partial(margin_mse, candidates=candidates, **scale)
    if name == "kl":
        return partial(kl, temperature=settings.temperature, candidates=candidates, **scale)
    return partial(kl, temperature=settings.temperature, candidates=candidates, scale=settings.scale or ENSEMBLE_SCALE)
