"""Objects that a config names: encoder, losses, regularisers, controllers, teachers, order of examples.

What `transformers.Trainer` takes is in `trainer_arguments`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Sampler

from lsr.encoders.config import DOT, EncoderConfig
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.errors import EncoderError, UsageError
from lsr.io.cache import cache_home
from lsr.training.config.config import TrainingConfig
from lsr.training.config.encoder import EncoderSettings
from lsr.training.config.losses import LossSettings, TeacherSettings
from lsr.training.config.sparsity import SideSettings
from lsr.training.data.example import Examples
from lsr.training.data.load import Subset
from lsr.training.data.mixed_batches import MixedSampler
from lsr.training.data.read_examples import ExampleSet
from lsr.training.data.topic_batches import TOPICS_FILE, TopicSampler, cluster, load_topics, save_topics
from lsr.training.losses.base import LOSSES, VECTORS, Loss
from lsr.training.model.model_folder import model_folder
from lsr.training.model.start_folder import start_folder
from lsr.training.model.transformer_options import set_dropout
from lsr.training.regularisers.base import REGULARISERS, Regulariser
from lsr.training.sparsity.controller import SparsityController
from lsr.training.teachers.registry import open_teacher
from lsr.training.vocabulary.phrases import with_phrases

log = logging.getLogger(__name__)

SAVED = "saved"
"""Family of an encoder that keeps its saved parts."""


def encoder_config(settings: EncoderSettings) -> EncoderConfig:
    """Return the parts of the encoder: its family's, with the changes of the settings."""
    values = family_config(settings.family).to_json()
    values["document"] |= settings.document
    if settings.query:
        values["query"] = (values["query"] or (values["document"] if values["query_side"] == "same" else {})) | dict(
            settings.query
        )
    if settings.query_repeats is not None:
        values["query_repeats"] = settings.query_repeats
    values |= _untrained_settings(settings)
    config = EncoderConfig.from_json(values)
    if settings.dense is not None:
        config = EncoderConfig.from_json({**values, "dense": dict(settings.dense)})
    return config


def _untrained_settings(settings: EncoderSettings) -> dict[str, Any]:
    """Return words and rarity, which no weight of the model depends on, as far as they are set."""
    given = {"words": settings.words, "rarity": settings.rarity}
    return {name: value for name, value in given.items() if value is not None}


def create_encoder(
    settings: EncoderSettings, work: Path, *, seed: int, idf: Mapping[str, float] | None = None
) -> NeuralEncoder:
    """Create the encoder to train, float32 on the CPU.

    work: folder for intermediate files. idf: by token, the initial weights of the query table.
    Raises UsageError for parts that don't fit, EncoderError for checkpoints that can't be loaded.
    """
    if settings.family == SAVED:
        return _continue_saved(settings)
    config = encoder_config(settings)
    query = (settings.query_start or settings.start) if config.query_side == "own" else None
    if settings.query_start is not None and config.query_side != "own":
        raise UsageError(f"config: encoder.query_start is set, but in family {settings.family!r} queries have no model")
    if settings.query_table != "ones" and config.query_side != "table":
        raise UsageError(f"config: encoder.query_table is set, but in family {settings.family!r} queries have no table")
    if settings.learn_query_table and config.query_side != "table":
        raise UsageError(f"config: encoder.learn_query_table is set, but family {settings.family!r} has no table")
    document = start_folder(settings.start, settings.fit_head, work)
    _check_phrases(settings, config)
    if settings.phrases is not None:
        document = with_phrases(document, settings.phrases, work)
    try:
        encoder = start_encoder(
            config,
            document,
            query=None if query is None else start_folder(query, None, work),
            query_weights=idf,
            seed=seed,
            device="cpu",
            dtype="float32",
        )
    except EncoderError as error:
        if config.document.head not in ("mlm", "gated", "phrases") or not _lacks_head(document):
            raise
        raise EncoderError(
            f'{error}; or fit the masked-LM head that it lacks: encoder.fit_head = {{ files = ["TEXTS"] }}'
        ) from error
    set_dropout(encoder, settings.dropout)
    return encoder


def _check_phrases(settings: EncoderSettings, config: EncoderConfig) -> None:
    """Raise UsageError for phrases of a head that scores none, or none for one that needs them."""
    head, given = config.document.head, settings.phrases
    if given is None and head == "phrases":
        raise UsageError("config: a head 'phrases' needs phrases: name them by encoder.phrases")
    if given is not None and head not in ("phrases", "ngrams"):
        raise UsageError(
            f"config: encoder.phrases is set, but head {head!r} scores no phrases: take family casper, dyvo or sparc"
        )
    if given is not None and head == "phrases" and given.get("embeddings") == "none":
        raise UsageError("config: encoder.phrases.embeddings is 'none', but a head 'phrases' scores phrases by them")


def _lacks_head(folder: Path) -> bool:
    """Return whether a checkpoint was saved without a language-modelling head."""
    try:
        names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    except (OSError, ValueError):
        return False
    return not str(names[0]).endswith(("ForMaskedLM", "ForPreTraining", "ForCausalLM"))


def _continue_saved(settings: EncoderSettings) -> NeuralEncoder:
    """Open a saved encoder, with its heads and query table, to be trained further."""
    plain = EncoderSettings(settings.start)
    names = ("query", "dense", "query_start", "fit_head", "query_table", "query_repeats", "phrases")
    changed = [name for name in names if getattr(settings, name) != getattr(plain, name)]
    changed += [f"document.{name}" for name in settings.document if name != "pruning"]
    if changed:
        raise UsageError(
            f"config: encoder.{changed[0]} is set, but with family {SAVED!r} the encoder keeps its parts: leave it out"
        )
    folder = Path(locate(model_folder(settings.start)).folder)
    encoder = resume_encoder(settings, folder, **settings.document.get("pruning", {}))
    if encoder.config.similarity != DOT:
        raise UsageError(
            f"config: a training trains dot products, but {settings.start} compares by cosines: set its "
            'similarity_fn_name (similarity of lsr_encoder.json) to "dot"'
        )
    values = encoder.config.to_json() | _untrained_settings(settings)
    encoder = type(encoder)(
        EncoderConfig.from_json(values), encoder.name, encoder.revision, encoder.document, encoder.query
    )
    if settings.learn_query_table and not isinstance(encoder.query, TableQueryEncoder):
        raise UsageError(f"config: encoder.learn_query_table is set, but {settings.start} has no table")
    return encoder


def resume_encoder(settings: EncoderSettings, folder: Path, **pruning: Any) -> NeuralEncoder:
    """Open the encoder of a checkpoint, to be trained further. pruning: `top_k`, `threshold`, replace its settings."""
    encoder = load_neural(folder, device="cpu", dtype="float32", **pruning)
    set_dropout(encoder, settings.dropout)
    return encoder


def make_losses(config: TrainingConfig) -> dict[str, tuple[float, Loss]]:
    """Return each loss of scores with its weight, by name."""
    losses = {name: loss for name, loss in config.loss.items() if LOSSES[name].teacher != VECTORS}
    return {name: (loss.weight, partial(LOSSES[name].function, **loss.options)) for name, loss in losses.items()}


def make_vector_losses(config: TrainingConfig) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Return each loss of dense vectors, by name: a function of the student's and the teacher's."""
    losses = config.losses_with(VECTORS)
    return {name: partial(LOSSES[name].function, **loss.options) for name, loss in losses.items()}


def candidates_of(name: str, loss: LossSettings) -> str | None:
    """Return whose documents a loss ranks: its default where the config has none; None if it ranks none."""
    return loss.candidates or LOSSES[name].options.get("candidates")


def make_regulariser(side: SideSettings, vocab_size: int) -> Regulariser:
    """Return a side's regulariser."""
    return REGULARISERS[side.regulariser](vocab_size, **side.regulariser_options)


def make_controller(side: SideSettings, steps: int) -> SparsityController | None:
    """Return the controller of a side with a target, None where the weight is given."""
    if side.target is None:
        return None
    horizon = side.horizon or min(500.0, max(10.0, steps / 20))
    return SparsityController(side.target, horizon, side.ramp or min(2000, steps // 3))


def _mixed_order(config: TrainingConfig, examples: Examples) -> MixedSampler:
    """Return the order of examples of several data sets. Raises UsageError for a set with less than one batch."""
    sources = examples.sources() if isinstance(examples, (ExampleSet, Subset)) else [one.source for one in examples]  # type: ignore[attr-defined]
    sets, size = config.data.sets, config.train.batch_size
    sizes = np.bincount(sources, minlength=len(sets))
    for one, n_examples in zip(sets, sizes.tolist(), strict=True):
        if n_examples < size:
            raise UsageError(
                f"config: data.sets {one.label!r} has {n_examples:,} examples, but a batch of one set takes {size:,}: "
                "lower train.batch_size, or give more"
            )
    shares = np.array([one.weight for one in sets]) / sum(one.weight for one in sets)
    for one, n_examples, share in zip(sets, sizes.tolist(), shares.tolist(), strict=True):
        log.info(f"data set {one.label}: {n_examples:,} examples, {100 * share:.0f} % of the batches")
    return MixedSampler(sources, [one.weight for one in sets], batch_size=size, seed=config.train.seed)


def teacher_opener(examples: Examples) -> Callable[[TeacherSettings], Any]:
    """Return a function that opens teachers with the user's cache. examples: corpus of their statistics."""

    def open_one(settings: TeacherSettings) -> Any:
        return open_teacher(settings.name, cache=cache_home() / "teachers", examples=examples, **settings.options)

    return open_one


def options_of_teacher(config: TrainingConfig, name: str) -> dict[str, Any]:
    """Return the options of a [[teacher]], none if there is no such; with equal options a model's cache is shared."""
    return next((one.options for one in config.teacher if one.name == name), {})


def batch_order(
    config: TrainingConfig, output: Path, examples: Examples, open_one: Callable[[TeacherSettings], Any]
) -> Sampler[int] | None:
    """Return the order of examples where `data.topics` or `data.sets` asks for one.

    output: folder of the run, keeps the topics.
    """
    data = config.data
    if data.sets:
        return _mixed_order(config, examples)
    if not data.topics:
        return None
    path = output / TOPICS_FILE
    topics = load_topics(path)
    if topics is None:
        log.info(f"clustering the queries of {len(examples):,} examples into {data.topics:,} topics")
        model = str(data.topic_model)
        teacher = open_one(TeacherSettings(model, options=options_of_teacher(config, model)))
        if not hasattr(teacher, "query_vectors") or not model.startswith(("dense:", "index:")):
            raise UsageError(
                f"config: data.topic_model is {model!r}, but has to be dense:MODEL or index:FOLDER, with dense vectors"
            )
        texts = [examples[i].query for i in range(len(examples))]
        topics = cluster(teacher.query_vectors(texts), data.topics, seed=config.train.seed)
        save_topics(path, topics)
    size = config.train.batch_size
    return TopicSampler(topics, batch_size=size, per_batch=data.topics_per_batch, seed=config.train.seed)
