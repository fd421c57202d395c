"""Opening of models on the kernels, without torch or transformers: exported ones, and others as they were published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.encoders.compiled.calibration import CALIBRATION_TEXTS
from lsr.encoders.compiled.check_weights import check_weights
from lsr.encoders.compiled.choose import INT8
from lsr.encoders.compiled.dense_encoder import CompiledDenseEncoder
from lsr.encoders.compiled.encoder import CompiledEncoder, JointCompiledEncoder
from lsr.encoders.compiled.exported_folder import DTYPES, is_exported, read_export, revision_of
from lsr.encoders.compiled.model import CompiledModel
from lsr.encoders.compiled.parts import (
    DenseParts,
    Part,
    SparseParts,
    read_dense_parts,
    read_sparse_parts,
    why_not_dense,
    why_not_sparse,
)
from lsr.encoders.compiled.rounding import (
    FACTORS_FILE,
    as_floats,
    find_factors,
    packed,
    read_factors,
    rounded,
    with_subspace,
)
from lsr.encoders.compiled.weights import Weights
from lsr.encoders.config import TowerConfig
from lsr.encoders.memory import give_back
from lsr.encoders.pretrained.dense_folder import DenseSettings, read_dense_layout
from lsr.encoders.pretrained.hub import Source, hash_of_weights, locate
from lsr.encoders.pretrained.known_models import remember
from lsr.encoders.pretrained.sparse_folder import read_as, read_layout, with_options
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, tokenizer_hash
from lsr.errors import EncoderError, UsageError


def open_compiled(
    name_or_path: str | Path,
    *,
    dtype: str | None = None,
    family: str | None = None,
    plain_family: str | None = None,
    revision: str | None = None,
    max_length: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    n_threads: int | None = None,
) -> CompiledEncoder:
    """Open a sparse or joint encoder of a folder or of a name on the hub.

    dtype: int8 or float32 (default: of an exported model its own, else int8). n_threads: as of `CompiledModel`. Others:
    as of `lsr.encoders.pretrained.load_encoder.load_neural`. Raises EncoderError for a model that the kernels can't
    run, saying why, or that is broken.
    """
    source = locate(name_or_path, revision=revision)
    if is_exported(source.folder):
        parts, dtype, found = _exported(source, dtype)
        if not isinstance(parts, SparseParts):
            raise EncoderError(f"{source.name} is an exported dense encoder: give it as --dense, not as --encoder")
        if family is not None:
            raise UsageError(f"{source.name} says its family itself: leave out family {family!r}")
    else:
        parts, dtype, found = read_sparse(source, dtype, family=family, plain_family=plain_family)
    remember(source.name, found)
    config = with_options(parts.config, max_length, top_k, threshold)
    encoder = _encoder(replace(parts, config=config), source.name, found, dtype, n_threads)
    del parts  # the weights before they were packed
    give_back()
    return encoder


def open_dense_compiled(
    name_or_path: str | Path,
    *,
    dtype: str | None = None,
    revision: str | None = None,
    n_threads: int | None = None,
    **settings: Any,
) -> CompiledDenseEncoder:
    """Open a dense encoder of a folder or of a name on the hub.

    dtype, n_threads: as of `open_compiled`. settings: of `DenseSettings`, in place of the model's where not None.
    Raises EncoderError for a model that the kernels can't run, saying why, or that is broken.
    """
    source = locate(name_or_path, revision=revision)
    if is_exported(source.folder):
        parts, dtype, found = _exported(source, dtype)
        if not isinstance(parts, DenseParts):
            raise EncoderError(f"{source.name} is an exported sparse encoder: give it as --encoder, not as --dense")
        parts = _with_settings(parts, settings)
    else:
        parts, dtype, found = read_dense(source, dtype, settings)
    remember(source.name, found)
    weights, used = packed(parts.model.weights), parts.settings
    document, query = (
        CompiledModel(
            weights,
            parts.model.tokenizer,
            TowerConfig(prompt=prompt),
            max_length=parts.model.max_length,
            pooling=used.pooling,
            normalise=used.normalise,
            n_threads=n_threads,
        )
        for prompt in (used.document_prompt, used.query_prompt)
    )
    del parts  # the weights before they were packed
    give_back()
    of_tokenizer = tokenizer_hash(document.tokenizer)
    return CompiledDenseEncoder(source.name, found, of_tokenizer, used, dtype, document, query)


def read_sparse(
    source: Source, dtype: str | None, *, family: str | None = None, plain_family: str | None = None
) -> tuple[SparseParts, str, str]:
    """Read a published sparse model: its parts, with weights as `dtype` says; the dtype; the revision.

    Raises EncoderError, with the reason, for one that the kernels can't run.
    """
    layout = read_layout(source.folder)
    layout = read_as(layout, family or (plain_family if layout.is_plain else None))
    _refuse(source.name, why_not_sparse(layout))
    parts, chosen = read_sparse_parts(layout), _checked_dtype(dtype)
    document = _in_dtype(parts.document, chosen)
    query = _in_dtype(parts.query, chosen) if isinstance(parts.query, Part) else parts.query
    return replace(parts, document=document, query=query), chosen, source.commit or layout.revision()


def read_dense(source: Source, dtype: str | None, settings: Mapping[str, Any]) -> tuple[DenseParts, str, str]:
    """Do what `read_sparse` does, for a dense model. settings: as of `open_dense_compiled`."""
    layout = read_dense_layout(source.folder)
    _refuse(source.name, why_not_dense(layout))
    parts = read_dense_parts(layout, _changed(layout.settings, settings))
    chosen = _checked_dtype(dtype)
    paths = [path for place in (layout.transformer, *layout.layers) for path in sorted(place.glob("*.safetensors"))]
    found = source.commit or hash_of_weights(paths)
    return replace(parts, model=_in_dtype(parts.model, chosen)), chosen, found


def _refuse(name: str, reason: str | None) -> None:
    if reason is not None:
        raise EncoderError(
            f"{name} can't run without torch: {reason}; install torch (pip install 'lsr-search[torch]') and leave out "
            "dtype int8"
        )


def _exported(source: Source, dtype: str | None) -> tuple[SparseParts | DenseParts, str, str]:
    parts, stored = read_export(source.folder)
    if dtype not in (None, stored):
        raise EncoderError(f"{source.name} was exported in {stored}, not {dtype}: leave out dtype, or export it again")
    return parts, stored, revision_of(source.folder)


def _checked_dtype(dtype: str | None) -> str:
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"dtype {dtype!r} needs torch: without it take {' or '.join(DTYPES)}")
    return dtype or INT8


def _in_dtype(part: Part, dtype: str) -> Part:
    """Return a part with its weights rounded for int8, or all of them float32."""
    assert part.folder is not None
    check_weights(part.weights, part.folder)
    path = part.folder / FACTORS_FILE
    factors = read_factors(path) if path.is_file() else find_factors(part.weights, calibration_tokens(part))
    if dtype != INT8:
        return replace(part, weights=with_subspace(as_floats(part.weights), factors))
    return replace(part, weights=rounded(part.weights, factors))


def calibration_tokens(part: Part, texts: Sequence[str] = CALIBRATION_TEXTS) -> list[list[int]]:
    """Return the token ids of the texts that a model is looked at with."""
    tokenizer = TextTokenizer(copy_of(part.tokenizer), max_length=part.max_length)
    return [encoding.ids for encoding in tokenizer.encode(texts) if encoding.ids]


def _with_settings(parts: DenseParts, settings: Mapping[str, Any]) -> DenseParts:
    changed = _changed(parts.settings, settings)
    length = min(parts.model.max_length, changed.max_length or parts.model.max_length)
    return DenseParts(replace(changed, max_length=length), replace(parts.model, max_length=length))


def _changed(settings: DenseSettings, changes: Mapping[str, Any]) -> DenseSettings:
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})


def _encoder(parts: SparseParts, name: str, revision: str, dtype: str, n_threads: int | None) -> CompiledEncoder:
    config, dense = parts.config, parts.config.dense
    pooling, normalise = ("mean", True) if dense is None else (dense.pooling, dense.normalise)

    def model(weights: Weights, part: Part, tower: TowerConfig) -> CompiledModel:
        length = min(part.max_length, tower.max_length or part.max_length)
        return CompiledModel(
            weights,
            part.tokenizer,
            tower,
            max_length=length,
            pooling=pooling,
            normalise=normalise,
            n_threads=n_threads,
        )

    weights = packed(parts.document.weights)
    document = model(weights, parts.document, config.document)
    query: TableQueryEncoder | CompiledModel
    if isinstance(parts.query, Part):
        query = model(packed(parts.query.weights), parts.query, config.query_tower)
    else:
        query = parts.query or model(weights, parts.document, config.query_tower)
    kind = CompiledEncoder if dense is None else JointCompiledEncoder
    return kind(config, name, revision, dtype, document, query)
