"""Folders of exported encoders: weights as the kernels take them, tokenizers, and one file that says how they fit.

`lsr_export.json` has a format, the encoder's settings, the numbers of each model that its arrays don't say, and a hash
of each file: a folder whose files are of different exports is refused. Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from lsr.encoders.compiled.check_weights import check_weights
from lsr.encoders.compiled.choose import EXPORT_FILE, FLOAT32, INT8
from lsr.encoders.compiled.parts import DenseParts, Part, SparseParts
from lsr.encoders.compiled.weights import (
    DenseLayer,
    Embeddings,
    Layer,
    Linear,
    Norm,
    Subspace,
    Unpacked,
    VocabularyHead,
    Weights,
)
from lsr.encoders.config import EncoderConfig
from lsr.encoders.pretrained.dense_folder import DenseSettings
from lsr.encoders.pretrained.hub import hash_of_weights
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import check_token_ids, read_tokenizer
from lsr.errors import EncoderError, LsrError
from lsr.io.plain_file import sha256_of
from lsr.kernels.encode.pack import Rounded

EXPORT_FORMAT = 1
DTYPES = (INT8, FLOAT32)
"""Numbers of an exported model's weights."""

_WEIGHTS, _TOKENIZER, _TABLE = "model.safetensors", "tokenizer.json", "table.safetensors"


def is_exported(folder: Path) -> bool:
    """Return whether `write_export` made a folder."""
    return (folder / EXPORT_FILE).is_file()


def write_export(parts: SparseParts | DenseParts, folder: Path, *, dtype: str, source: Mapping[str, str]) -> None:
    """Write an encoder to an empty folder. source: name and revision of the model that was exported."""
    models: dict[str, Part] = {}
    values: dict[str, Any] = {"format": EXPORT_FORMAT, "dtype": dtype, "source": dict(source)}
    if isinstance(parts, DenseParts):
        values |= {"kind": "dense", "encoder": asdict(parts.settings)}
        models["document"] = parts.model
    else:
        values |= {"kind": "sparse", "encoder": parts.config.to_json()}
        models["document"] = parts.document
        if isinstance(parts.query, Part):
            models["query"] = parts.query
        elif parts.query is not None:
            _write_table(parts.query, folder / "query")
            values["table"] = {"max_length": parts.query.max_length}
    values["models"] = {name: _write_model(part, folder / name) for name, part in models.items()}
    values["files"] = {name: _sha256(folder / name) for name in _files(folder)}
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    (folder / EXPORT_FILE).write_text(text, encoding="utf-8")


def read_export(folder: Path) -> tuple[SparseParts | DenseParts, str]:
    """Read an exported encoder, and the dtype of its weights.

    Raises EncoderError for a format that isn't known, and for files that don't fit together.
    """
    path = folder / EXPORT_FILE
    values = read_json(path)
    version = values.get("format") if isinstance(values, dict) else None
    if version != EXPORT_FORMAT:
        raise EncoderError(f"{path} has format {version!r}, but this program reads {EXPORT_FORMAT}: export it again")
    try:
        _check_files(folder, values["files"])
        dtype = values["dtype"]
        if dtype not in DTYPES:
            raise EncoderError(f"{path}: dtype {dtype!r} is not known: {' or '.join(DTYPES)}")
        if not set(values["models"]) <= {"document", "query"}:
            raise EncoderError(f"{path}: models {', '.join(map(repr, values['models']))[:200]} are not known")
        models = {name: _read_model(folder / name, of, dtype) for name, of in values["models"].items()}
        if values["kind"] == "dense":
            return DenseParts(DenseSettings(**values["encoder"]), models["document"]), dtype
        config = EncoderConfig.from_json(values["encoder"])
        query: Part | TableQueryEncoder | None = models.get("query")
        if "table" in values:
            query = _read_table(folder / "query", values["table"]["max_length"], config)
            if len(query.weights) != models["document"].weights.vocab_size:
                raise EncoderError(f"{path}: {len(query.weights)} query weights don't fit the model: export it again")
        if (query is None) != (config.query_side == "same"):
            raise EncoderError(
                f"{path}: query_side is {config.query_side!r}, which its files don't fit: export it again"
            )
        return SparseParts(config, models["document"], query), dtype
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EncoderError(f"{path} is not as an export writes it ({error!r:.200}): export the model again") from error
    except EncoderError:
        raise
    except LsrError as error:
        raise EncoderError(f"{path}: {error}") from error


def revision_of(folder: Path) -> str:
    """Return a hash of an exported folder's weights, and of what says how they are used."""
    return hash_of_weights([folder / EXPORT_FILE])


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != EXPORT_FILE)


def _sha256(path: Path) -> str:
    return sha256_of(path).hex()


def _check_files(folder: Path, recorded: Mapping[str, str]) -> None:
    for name, digest in recorded.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise EncoderError(f"{folder}: file {name!r} lies outside the model: refused")
        if not path.is_file():
            raise EncoderError(f"{path} is missing: the exported model is not complete, export it again")
        if _sha256(path) != digest:
            raise EncoderError(
                f"{path} is of another export, or damaged: its files don't fit together, export it again"
            )


def _write_model(part: Part, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    weights = part.weights
    save_file({name: np.ascontiguousarray(array) for name, array in _arrays(weights)}, folder / _WEIGHTS)
    (folder / _TOKENIZER).write_text(part.tokenizer.to_str(), encoding="utf-8")
    return {
        "max_length": part.max_length,
        "n_layers": len(weights.layers),
        "n_shared": weights.n_shared,
        "n_heads": weights.n_heads,
        "n_branch": len(weights.branch),
        "first_position": weights.first_position,
        "epsilon": float(weights.epsilon),
        "tanh": [layer.tanh for layer in weights.dense],
    }


def _arrays(weights: Weights) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield from _tree("embeddings", weights.embeddings)
    yield "distances", weights.distances
    for name, layers in (("layers", weights.layers), ("branch", weights.branch)):
        for i, layer in enumerate(layers):
            yield from _tree(f"{name}.{i}", layer)
    for i, dense in enumerate(weights.dense):
        yield from _tree(f"dense.{i}", dense.linear)
    head = weights.head
    if head is not None:
        yield from _tree("head.transform", head.transform)
        yield from _tree("head.norm", head.norm)
        assert isinstance(head.scores, Unpacked)
        if head.subspace is not None:
            yield from _tree("head.subspace", head.subspace)
        if _are_words(head.scores, weights.embeddings):  # stored once
            yield "head.scores.bias", head.scores.bias
        else:
            yield from _tree("head.scores", head.scores)


def _are_words(scores: Unpacked, embeddings: Embeddings) -> bool:
    weight = scores.weight
    if not isinstance(weight, Rounded):
        return np.array_equal(weight, embeddings.words)
    same = np.array_equal(weight.weights, embeddings.words) and np.array_equal(weight.scales, embeddings.scales)
    return same and bool((weight.factors == 1).all())


def _tree(name: str, value: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if isinstance(value, np.ndarray):
        yield name, value
        return
    for part in value._fields:
        yield from _tree(f"{name}.{part}", getattr(value, part))


def _read_model(folder: Path, numbers: Mapping[str, Any], dtype: str) -> Part:
    tensors = Tensors(folder / _WEIGHTS)
    get = tensors.array
    with_head = "head.scores.bias" in tensors

    def norm(name: str) -> Norm:
        return Norm(get(f"{name}.weight"), get(f"{name}.bias"))

    def linear(name: str) -> Linear:
        bias = get(f"{name}.bias")
        if dtype == INT8 and not name.startswith("dense."):
            return Unpacked(Rounded(*(get(f"{name}.weight.{part}") for part in Rounded._fields)), bias)
        return Unpacked(get(f"{name}.weight"), bias)

    def layer(name: str) -> Layer:
        return Layer(
            linear(f"{name}.projection"), linear(f"{name}.attended"), norm(f"{name}.attention_norm"),
            linear(f"{name}.inner"), linear(f"{name}.outer"), norm(f"{name}.norm"),
        )  # fmt: skip

    words = Embeddings(
        get("embeddings.words"),
        get("embeddings.scales"),
        get("embeddings.positions"),
        get("embeddings.kind"),
        norm("embeddings.norm"),
    )
    head = None
    if with_head:
        scores: Linear = Unpacked(
            Rounded(words.words, words.scales, np.ones(words.words.shape[-1], np.float32))  # type: ignore[arg-type]
            if dtype == INT8 else words.words,
            get("head.scores.bias"),
        )  # fmt: skip
        stored = any(f"head.scores.weight{end}" in tensors for end in ("", ".weights"))
        names = [f"head.subspace.{name}" for name in Subspace._fields]
        subspace = Subspace(*map(get, names)) if all(name in tensors for name in names) else None
        scored = linear("head.scores") if stored else scores
        head = VocabularyHead(linear("head.transform"), norm("head.norm"), scored, subspace)
    dense = [DenseLayer(linear(f"dense.{i}"), bool(tanh)) for i, tanh in enumerate(numbers["tanh"])]
    weights = Weights(
        words,
        tuple(layer(f"layers.{i}") for i in range(numbers["n_layers"])),
        head,
        tuple(layer(f"branch.{i}") for i in range(numbers["n_branch"])),
        tuple(dense),
        get("distances"),
        int(numbers["n_shared"]),
        int(numbers["n_heads"]),
        np.float32(numbers["epsilon"]),
        int(numbers["first_position"]),
    )
    check_weights(weights, folder)
    tokenizer = read_tokenizer(folder / _TOKENIZER)
    check_token_ids(tokenizer, len(words.words), folder)
    max_length = int(numbers["max_length"])
    if not 0 < max_length <= weights.max_length:
        raise EncoderError(f"{folder}: {max_length} tokens are read, but there are {weights.max_length} positions")
    return Part(weights, tokenizer, max_length)


def _write_table(table: TableQueryEncoder, folder: Path) -> None:
    folder.mkdir(parents=True)
    save_file({"weight": np.ascontiguousarray(table.weights)}, folder / _TABLE)
    (folder / _TOKENIZER).write_text(table.tokenizer.to_str(), encoding="utf-8")


def _read_table(folder: Path, max_length: int, config: EncoderConfig) -> TableQueryEncoder:
    weights = np.array(Tensors(folder / _TABLE).get("weight"))
    tokenizer: Tokenizer = read_tokenizer(folder / _TOKENIZER, n_rows=len(weights))
    return TableQueryEncoder(
        tokenizer,
        weights,
        max_length=int(max_length),
        prompt=config.query_tower.prompt,
        repeats=config.query_repeats,
    )
