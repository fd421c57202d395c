"""Models as people publish them, written as folders that load: `lsr encoder convert`."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lsr.encoders.config import DenseConfig
from lsr.encoders.conversion.adapter import base_of, merged, read_adapter
from lsr.encoders.conversion.weights import WEIGHTS, pickled_files, read_pickled, read_weights, write_weights
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.dense_folder import read_dense_layout
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.module_keys import ADAPTER_CONFIG
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.pretrained.sparse_folder import SPARSE_LINEAR, read_layout
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.errors import EncoderError, LsrError, UsageError

BGE_M3 = "bge-m3"
_COPIED = (".json", ".txt", ".model", ".safetensors", ".jinja", ".md")
"""Ends of files that a model is made of. Code is never among them."""
_OF_ADAPTERS = (ADAPTER_CONFIG, "adapter_model.safetensors")
_DEEPEST = 2


@dataclass(frozen=True, slots=True)
class Converted:
    """A written model. kind: `sparse` or `dense`. done: what was done to it, in words."""

    folder: Path
    kind: str
    done: tuple[str, ...]


def convert_encoder(
    model: str | Path,
    out: str | Path,
    *,
    query: str | Path | None = None,
    base: str | Path | None = None,
    family: str | None = None,
    revision: str | None = None,
) -> Converted:
    """Write a model to `out`, a new or an empty folder, in a form that loads. Its own files stay as they are.

    Pickled weights become safetensors, of which weights alone are read; an adapter is added to its model; BGE-M3's
    `sparse_linear.pt` becomes the head of a joint encoder.
    query: the model of the queries, where they have another one. base: the model of an adapter (default: the one that
    it names). family: of a plain checkpoint, which the written model then says itself. revision: on the hub.
    Raises EncoderError for a model that can't be read or doesn't load, UsageError for options that don't fit.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not an empty folder: give another, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    done: list[str] = []
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        work = Path(folder)
        source = locate(model, revision=revision, pickled=True).folder
        _write_whole(source, work / "model", base, done)
        encoder = _encoder(source, work, query, family, done)
        if encoder is None:
            kind = _kind_of(work / "model")
            written = work / "model"
        else:
            kind, written = "sparse", work / "saved"
            save_encoder(encoder, written)
        if not done:
            raise UsageError(f"{model}: it loads as it is, so there is nothing to convert: give it as --encoder")
        if target.exists():
            target.rmdir()
        written.rename(target)
    return Converted(target, kind, tuple(done))


def _write_whole(source: Path, target: Path, base: str | Path | None, done: list[str], depth: int = 0) -> None:
    """Copy a folder's files of a model, with weights in safetensors and adapters added."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_dir() and depth < _DEEPEST and not path.name.startswith("."):
            _write_whole(path, target / path.name, base, done, depth + 1)
        elif path.is_file() and path.suffix in _COPIED and path.name not in _OF_ADAPTERS:
            shutil.copyfile(path, target / path.name)
    if not any(target.iterdir()) and depth:
        target.rmdir()
        return
    if (source / ADAPTER_CONFIG).is_file():
        _add_adapter(source, target, base, done)
    elif not any(target.glob("*.safetensors")):
        weights = [path for path in pickled_files(source) if path.name.startswith("pytorch_model")]
        if weights:
            write_weights(target / WEIGHTS, read_weights(source))
            done.append(f"read the weights of {', '.join(str(path) for path in weights)}")


def _add_adapter(source: Path, target: Path, base: str | Path | None, done: list[str]) -> None:
    config, adapter = read_adapter(source)
    name = base_of(source) if base is None else base
    try:
        model = locate(name, pickled=True).folder
    except EncoderError as error:
        raise EncoderError(f"{source} is an adapter of {name}: {error}; --base names its model") from error
    for path in sorted(model.iterdir()):
        is_own = (target / path.name).is_file()
        if path.is_file() and path.suffix in _COPIED and path.suffix not in (".safetensors", ".md") and not is_own:
            shutil.copyfile(path, target / path.name)
    (target / "model.safetensors.index.json").unlink(missing_ok=True)
    write_weights(target / WEIGHTS, merged(read_weights(model), config, adapter))
    done.append(f"added the adapter to the weights of {name}")


def _encoder(
    source: Path, work: Path, query: str | Path | None, family: str | None, done: list[str]
) -> NeuralEncoder | None:
    """Return the encoder to save; None where the prepared folder is the model as it is."""
    model = work / "model"
    if (source / SPARSE_LINEAR).is_file():
        if query is not None or family is not None:
            raise UsageError(
                f"{source}: {SPARSE_LINEAR} is BGE-M3's, which has one family: leave out --family, --query"
            )
        done.append(f"read the sparse weights of {source / SPARSE_LINEAR}")
        return _bge_m3(source / SPARSE_LINEAR, model)
    if query is not None:
        config = family_config(family or "efficient-splade")
        if config.query_side != "own":
            raise UsageError(f"--query joins two models, but in family {family!r} queries have none: leave it out")
        queries = work / "query"
        _write_whole(locate(query, pickled=True).folder, queries, None, [])
        done.append(f"joined the models of documents, {source}, and of queries, {query}")
        return start_encoder(config, model, query=queries, device="cpu", dtype="float32")
    if family is not None:
        done.append(f"recorded family {family}")
        return load_neural(model, family=family, device="cpu", dtype="float32")
    return None


def _bge_m3(path: Path, model: Path) -> NeuralEncoder:
    """Make a joint encoder of BGE-M3: Chen et al., "BGE M3-Embedding" (2024, arXiv:2402.03216)."""
    weights = read_pickled(path)
    config = replace(family_config(BGE_M3), dense=DenseConfig("cls"))
    encoder = start_encoder(config, model, device="cpu", dtype="float32")
    own = encoder.document.tower.head.own_weights()
    wanted = {f"layers.0.{name}": value for name, value in weights.items()}
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in wanted.items()}:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in weights.items())
        raise EncoderError(f"{path}: {shapes}, but one linear layer from {model.name}'s hidden states was expected")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(wanted[name])
    return encoder


def _kind_of(folder: Path) -> str:
    """Return whether a folder is a sparse or a dense model. Raises EncoderError for one that loads as neither."""
    from lsr.encoders.registry import load_dense_encoder, load_encoder

    try:
        read_layout(folder)
        load_encoder(folder, device="cpu", dtype="float32")
        return "sparse"
    except LsrError as sparse:
        try:
            read_dense_layout(folder)
            load_dense_encoder(folder, device="cpu", dtype="float32")
            return "dense"
        except LsrError as dense:
            raise EncoderError(
                f"the converted model loads neither as a sparse one ({sparse}) nor as a dense one ({dense})"
            ) from dense
