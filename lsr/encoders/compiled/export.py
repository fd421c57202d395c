"""Export of published models to folders that need no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.compiled.exported_folder import is_exported, write_export
from lsr.encoders.compiled.open import (
    calibration_tokens,
    open_compiled,
    open_dense_compiled,
    read_dense,
    read_sparse,
)
from lsr.encoders.compiled.parts import DenseParts, SparseParts, read_sparse_parts, why_not_sparse
from lsr.encoders.compiled.rounding import FACTORS_FILE, find_factors, save_factors
from lsr.encoders.pretrained.hub import Source, locate
from lsr.encoders.pretrained.sparse_folder import OWN_CONFIG, module_chain, read_json, read_layout
from lsr.errors import EncoderError, UsageError
from lsr.io.folder import refuse_link


@dataclass(frozen=True, slots=True)
class Exported:
    """Outcome of an export. kind: sparse, joint or dense. max_length: tokens of a document that are read."""

    folder: Path
    kind: str
    dtype: str
    size_bytes: int
    max_length: int


def export_encoder(
    name_or_path: str | Path,
    folder: Path,
    *,
    dtype: str = "int8",
    family: str | None = None,
    dense: bool | None = None,
    revision: str | None = None,
) -> Exported:
    """Write a model to `folder`, which may not exist yet or be empty, so that it runs without torch.

    dtype: int8 or float32. family: of a plain checkpoint (default: splade). dense: whether it is a dense model
    (default: what its folder says; a checkpoint without a masked-LM head is one). revision: of the hub. Raises
    EncoderError for a model that can't be exported, saying why, and for a folder that isn't empty.
    """
    source = locate(name_or_path, revision=revision)
    if is_exported(source.folder):
        raise EncoderError(f"{source.name} is an exported model already: give the model that it was made of")
    refuse_link(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EncoderError(f"{folder} is not an empty folder: give another, or remove it")
    is_dense = _is_dense(source) if dense is None else dense
    if is_dense and family is not None:
        raise UsageError(f"family {family!r} is of sparse models: leave it out for a dense one")
    parts: SparseParts | DenseParts
    if is_dense:
        parts, dtype, found = read_dense(source, dtype, {})
        kind, length = "dense", parts.model.max_length
    else:
        parts, dtype, found = read_sparse(source, dtype, family=family)
        kind = "sparse" if parts.config.dense is None else "joint"
        length = min(parts.document.max_length, parts.config.document.max_length or parts.document.max_length)
    folder.mkdir(parents=True, exist_ok=True)
    write_export(parts, folder, dtype=dtype, source={"name": Path(source.name).name, "revision": found})
    # What can't be opened again was not exported.
    (open_dense_compiled if is_dense else open_compiled)(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Exported(folder, kind, dtype, size, length)


def write_factors(folder: Path, texts: Sequence[str] = ()) -> None:
    """Write factors of a sparse model's int8 weights beside them, and its subspace, if the kernels can run it.

    texts: for the subspace, beside those of the calibration; some thousands make the screen leave less work.
    """
    layout = read_layout(folder)
    if why_not_sparse(layout) is None:
        part = read_sparse_parts(layout).document
        factors = find_factors(part.weights, calibration_tokens(part), calibration_tokens(part, texts))
        save_factors(factors, layout.document / FACTORS_FILE)


def _is_dense(source: Source) -> bool:
    """Return whether a folder holds a dense model, by its modules or, in a plain checkpoint, its architecture."""
    folder = source.folder
    if (folder / OWN_CONFIG).is_file():
        return False
    if (folder / "modules.json").is_file():
        return "Pooling" in module_chain(folder).names
    if not (folder / "config.json").is_file():
        return False
    config: Mapping[str, Any] = read_json(folder / "config.json")
    architectures = config.get("architectures") or []
    return bool(architectures) and not any("ForMaskedLM" in str(name) for name in architectures)
