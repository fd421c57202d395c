"""Settings of a config that change nothing beside its other settings, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from lsr.encoders.families import FAMILIES
from lsr.training.config.config import TrainingConfig


def without_effect(config: TrainingConfig) -> list[str]:
    """Return a line for each setting that is set and has no effect, with the reason."""
    return [f"config: {key} is set, but {why}: it has no effect" for key, why in _found(config)]


def _found(config: TrainingConfig) -> Iterator[tuple[str, str]]:
    data, train, evaluation, encoder = config.data, config.train, config.eval, config.encoder
    rules: list[tuple[str, Any, bool, str]] = [
        ("data", data, not data.topics, "data.topics is 0 [topic_model topics_per_batch]"),
        ("data", data, not data.check_overlap, "data.check_overlap names no test collection [overlap]"),
        ("data", data, not data.files, "data.files names no file [corpus queries split]"),
        (
            "train", train, not encoder.learn_query_table,
            "encoder.learn_query_table is false [table_learning_rate]",
        ),
        (
            "eval", evaluation, not evaluation.datasets,
            "eval.datasets names no test collection [split max_documents]",
        ),
        ("eval", evaluation, not evaluation.measures, "eval.datasets names no test collection [measure]"),
        ("eval", evaluation, not evaluation.every, "eval.every is 0 [patience]"),
        ("encoder", encoder, encoder.query_table != "idf", "encoder.query_table is not 'idf' [idf_max]"),
    ]  # fmt: skip
    if data.mining is not None:
        mining = data.mining
        rules.append(("data.mining", mining, mining.teacher is None, "data.mining.teacher names none [teacher_margin]"))
    for name in ("documents", "queries"):
        side = getattr(config.sparsity, name)
        where = f"sparsity.{name}"
        if side is None:
            continue
        rules.append((where, side, side.target is None, f"{where}.target is not set [horizon begin]"))
        if side.target is None:
            rules.append((where, side, side.schedule == "constant", f"{where}.schedule is 'constant' [ramp]"))
    for where, settings, holds, text in rules:
        why, _, keys = text.removesuffix("]").partition(" [")
        if holds:
            yield from ((f"{where}.{key}", why) for key in keys.split() if _is_set(settings, key))
    if (encoder.dense or {}).get("dimension") is not None and "regression" not in config.loss:
        yield "encoder.dense.dimension", "no loss trains that layer (loss.regression)"
    if config.teacher and len(config.teacher) == 1 and config.teacher[0].weight != 1:
        yield "teacher.weight", "there is one teacher alone"
    if config.sparsity.queries is not None and _query_side(config) == "binary":
        yield "sparsity.queries", "each token of a query weighs 1"


def _query_side(config: TrainingConfig) -> str:
    family = FAMILIES.get(config.encoder.family)
    return "" if family is None else family.config.query_side


def _is_set(settings: Any, key: str) -> bool:
    field: Any = next(field for field in fields(settings) if field.name == key)
    usual = field.default_factory() if field.default is MISSING else field.default
    return bool(getattr(settings, key) != usual)
