"""Folder layouts of sparse encoders, as models are published.

- plain: a masked-LM checkpoint of `transformers`; with `idf.json` beside it, as OpenSearch publishes models, that is
  the table of its queries;
- Sentence-Transformers: `modules.json` naming a transformer and a SpladePooling;
- Sentence-Transformers Router: one such chain for documents, and for queries another or a SparseStaticEmbedding;
- our own (`lsr_encoder.json`), for combinations that Sentence-Transformers has no modules for.

Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsr.encoders.config import COSINE, DOT, EncoderConfig, Pruning, TowerConfig
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.module_keys import check_keys, refuse_adapter, warn_once
from lsr.encoders.pretrained.sentence_transformers_config import (
    ModelSettings,
    read_model_settings,
    read_transformer_settings,
)
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.io.plain_file import opened, sha256_of

OWN_CONFIG = "lsr_encoder.json"
OWN_FORMAT = 1
HEAD_FILE = "head.safetensors"
PHRASES_FILE, PHRASE_VECTORS_FILE = "phrases.json", "phrases.safetensors"

# Sentence-Transformers' names of the two activations, which leave out the outer logarithm.
ST_ACTIVATIONS = {"relu": "log1p(relu)", "log1p_relu": "log1p(log1p(relu))"}

_TRANSFORMERS = ("Transformer", "MLMTransformer")
AUTOENCODER = "SparseAutoEncoder"
"""Sentence-Transformers' module of sparse codes, behind those of a dense model."""
STATIC_EMBEDDING = "SparseStaticEmbedding"
"""Sentence-Transformers' table of weights of tokens."""
SPARSE_LINEAR = "sparse_linear.pt"
"""Weights of BGE-M3's sparse vectors, beside its dense model."""
IDF_JSON = "idf.json"
"""Weights of query tokens beside a checkpoint, as OpenSearch publishes them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """An encoder's parts in a folder.

    document: the documents' transformer. query: the queries' transformer or table, None if they share
    the documents'. table_json: an idf.json that holds the table's weights by token.
    is_plain: whether it is a checkpoint alone, which doesn't say its family.
    """

    folder: Path
    config: EncoderConfig
    document: Path
    query: Path | None = None
    table_json: Path | None = None
    is_plain: bool = False

    def revision(self) -> str:
        """Return a hash over all weights, which two folders share only if they give the same vectors."""
        digest = hashlib.sha256()
        for folder in [self.document] + ([] if self.query is None else [self.query]):
            for path in sorted(folder.glob("*.safetensors")):
                digest.update(path.name.encode())
                digest.update(sha256_of(path))
        if self.table_json is not None:
            digest.update(self.table_json.read_bytes())
        return f"sha256:{digest.hexdigest()}"


def read_layout(folder: Path) -> Layout:
    """Return the parts of the encoder in `folder`.

    Raises EncoderError for an unknown layout, and for modules that need code from elsewhere.
    """
    refuse_adapter(folder)
    if (folder / OWN_CONFIG).is_file():
        return _own(folder)
    if (folder / "modules.json").is_file():
        try:
            return _sentence_transformers(folder)
        except (KeyError, TypeError, AttributeError) as error:
            raise EncoderError(
                f"{folder}: modules.json or a module's config is not as Sentence-Transformers writes it: {error!r}"
            ) from error
    if (folder / "config.json").is_file():
        if (folder / IDF_JSON).is_file():
            return _with_idf(Layout(folder, family_config("inference-free"), folder, is_plain=True))
        return Layout(folder, EncoderConfig("splade"), folder, is_plain=True)
    raise EncoderError(
        f"{folder} holds no model: there is no {OWN_CONFIG}, modules.json or config.json; "
        "give a masked-LM checkpoint or a Sentence-Transformers SparseEncoder folder"
    )


def _with_idf(layout: Layout) -> Layout:
    return replace(layout, query=layout.document, table_json=layout.folder / IDF_JSON)


def read_as(layout: Layout, family: str | None) -> Layout:
    """Return a plain checkpoint's layout read as a family. Raises UsageError for a model that says its family."""
    if family is None:
        return layout
    if not layout.is_plain:
        raise UsageError(f"{layout.folder} says that it is {layout.config.family!r}: leave out family {family!r}")
    config = family_config(family)
    if config.query_side == "table" and (layout.folder / IDF_JSON).is_file():
        return _with_idf(replace(layout, config=config))
    if config.query_side == "own":
        raise UsageError(
            f"{layout.folder}: a plain checkpoint alone can't be {family!r}, which has more than one model: join both "
            f"by lsr encoder convert {layout.folder} OUT --family {family} --query QUERIES"
        )
    if config.query_side == "table":
        raise UsageError(
            f"{layout.folder}: a plain checkpoint can't be {family!r}, whose queries have a table of weights: put it "
            f"beside the checkpoint as {IDF_JSON}, an object of weights by token, or train one (lsr train)"
        )
    return replace(layout, config=config, query=None, table_json=None)


def with_options(
    config: EncoderConfig, max_length: int | None, top_k: int | None, threshold: float | None
) -> EncoderConfig:
    """Return a config with options for documents; queries keep the settings that both sides had."""
    document = config.document
    pruning = Pruning(
        document.pruning.top_k if top_k is None else top_k,
        document.pruning.threshold if threshold is None else threshold,
    )
    length = document.max_length if max_length is None else max_length
    query = config.query_tower if config.query_side == "same" else config.query
    return replace(config, document=replace(document, max_length=length, pruning=pruning), query=query)


def _json_of(path: Path) -> Any:
    with opened(path) as file:
        return json.loads(file.read().decode("utf-8"))


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises EncoderError if it can't be."""
    try:
        return _json_of(path)
    except FileNotFoundError as error:
        raise EncoderError(f"{path} is missing: the model is not complete") from error
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path} can't be read: {error}") from error


def _own(folder: Path) -> Layout:
    values = dict(read_json(folder / OWN_CONFIG))
    version = values.pop("format", None)
    if version != OWN_FORMAT:
        raise EncoderError(f"{folder / OWN_CONFIG} has format {version}, but this program reads {OWN_FORMAT}")
    try:
        config = EncoderConfig.from_json(values)
    except LsrError as error:
        raise EncoderError(f"{folder / OWN_CONFIG}: {error}") from error
    query = folder / "query" if config.query_side in ("own", "table") else None
    return Layout(folder, config, folder / "document", query)


@dataclass(frozen=True, slots=True)
class ModuleChain:
    """The modules that one side's texts go through: their class names and folders."""

    names: tuple[str, ...]
    folders: tuple[Path, ...]


def module_chain(folder: Path) -> ModuleChain:
    """Read `modules.json`. Raises EncoderError for modules with code of the model, or outside its folder."""
    return _chain(folder, [(module["type"], module["path"]) for module in read_json(folder / "modules.json")])


def modules_of(name_or_path: str | Path) -> tuple[str, ...]:
    """Return the names of a Sentence-Transformers model's modules, none where it is something else, or not here yet."""
    try:
        folder = locate(name_or_path).folder
        return module_chain(folder).names if (folder / "modules.json").is_file() else ()
    except (LsrError, KeyError, TypeError):  # said where the model is loaded
        return ()


def _sentence_transformers(folder: Path) -> Layout:
    chain = module_chain(folder)
    settings = read_model_settings(folder)
    similarity = COSINE if settings.similarity == COSINE else DOT
    if chain.names == ("Router",):
        layout = _router(folder, chain.folders[0], settings)
        return replace(layout, config=replace(layout.config, similarity=similarity))
    document, query = (_tower(chain, settings, side) for side in ("document", "query"))
    config = EncoderConfig("splade", document, "same", None if query == document else query, similarity=similarity)
    return Layout(folder, config, chain.folders[0])


def _router(folder: Path, router: Path, settings: ModelSettings) -> Layout:
    path = router / "router_config.json"
    values = read_json(path)
    types, structure = values["types"], values["structure"]
    check_keys(path, values, known=("types", "structure", "parameters"))
    parameters: Mapping[str, Any] = values.get("parameters") or {}
    check_keys(path, parameters, known=("default_route", "allow_empty_key"), only={"route_mappings": (None, {}, [])})
    if set(structure) != {"query", "document"}:
        raise EncoderError(f"{router}: routes {', '.join(sorted(structure))}, but only query and document are known")
    document = _chain(router, [(types[name], name) for name in structure["document"]])
    query = _chain(router, [(types[name], name) for name in structure["query"]])
    tower = _tower(document, settings, "document")
    if query.names == (STATIC_EMBEDDING,):
        path = query.folders[0] / "config.json"
        table = read_json(path)
        check_keys(path, table, known=("frozen", "path"))
        source = table.get("path")
        if settings.max_active_dims is not None:
            warn_once(
                f"{folder}: max_active_dims ({settings.max_active_dims}) holds for documents; queries of a table keep "
                "all their tokens"
            )
        config = EncoderConfig("inference-free", tower, "table", TowerConfig(prompt=settings.prompts["query"]))
        return Layout(
            folder,
            config,
            document.folders[0],
            query.folders[0],
            None if source is None else _table_json(folder, query.folders[0], source),
        )
    query_tower = _tower(query, settings, "query")
    if query.folders[0] == document.folders[0]:
        return Layout(folder, EncoderConfig("splade", tower, "same", query_tower), document.folders[0])
    return Layout(
        folder, EncoderConfig("efficient-splade", tower, "own", query_tower), document.folders[0], query.folders[0]
    )


def _table_json(folder: Path, query: Path, source: str) -> Path:
    for path in (query / source, folder / source, query / "idf.json", folder / "idf.json"):
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    raise EncoderError(f"{query}: the query weights {source!r} are not in the folder: the model is not complete")


def _chain(folder: Path, modules: Sequence[tuple[str, str]]) -> ModuleChain:
    for kind, path in modules:
        if not kind.startswith("sentence_transformers."):
            raise EncoderError(
                f"{folder}: module {kind} is code that comes with the model, which is never run: not supported"
            )
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise EncoderError(f"{folder}: module folder {path!r} lies outside the model: refused")
    return ModuleChain(
        tuple(kind.rpartition(".")[2] for kind, _ in modules), tuple(folder / path for _, path in modules)
    )


def _tower(chain: ModuleChain, model: ModelSettings, side: str) -> TowerConfig:
    if len(chain.names) != 2 or chain.names[0] not in _TRANSFORMERS or chain.names[1] != "SpladePooling":
        raise EncoderError(f"{chain.folders[0]}: modules {', '.join(chain.names)}, but {_remedy(chain)}")
    settings = read_transformer_settings(chain.folders[0])
    task = settings.get("transformer_task", "fill-mask")
    if task != "fill-mask":
        raise EncoderError(
            f"{chain.folders[0]}: its transformer does {task!r}, not 'fill-mask': it has no masked-LM head"
        )
    path = chain.folders[1] / "config.json"
    pooling = read_json(path)
    check_keys(
        path,
        pooling,
        known=(
            "pooling_strategy", "activation_function", "embedding_dimension", "word_embedding_dimension", "chunk_size",
        ),
    )  # fmt: skip
    activation = pooling.get("activation_function", "relu")
    if activation not in ST_ACTIVATIONS:
        raise EncoderError(f"{chain.folders[1]}: activation {activation!r} is not known")
    return TowerConfig(
        activation=ST_ACTIVATIONS[activation],
        pooling=pooling.get("pooling_strategy", "max"),
        max_length=settings.get("max_seq_length"),
        prompt=model.prompts[side],
        pruning=Pruning(model.max_active_dims),
    )


def _remedy(chain: ModuleChain) -> str:
    known = (
        "a sparse encoder is a Transformer and a SpladePooling, or a SparseStaticEmbedding for queries, or a dense one "
        "with a SparseAutoEncoder behind it"
    )
    if set(chain.names) & {"Pooling"}:
        known += "; this is a dense model: give it as --dense, or as --encoder codes:FOLDER after lsr codes"
        if (chain.folders[0] / SPARSE_LINEAR).is_file():
            known = f"its sparse weights are in {SPARSE_LINEAR}: run lsr encoder convert {chain.folders[0]} OUT"
    return known
