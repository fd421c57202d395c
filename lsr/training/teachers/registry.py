"""Teachers by name: `bm25`, `dense:MODEL`, `sparse:MODEL`, `cross-encoder:MODEL`, `file`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.errors import EncoderError, UsageError
from lsr.training.data.example import Examples
from lsr.training.data.read_examples import ExampleSet
from lsr.training.teachers.base import Teacher
from lsr.types import Document

KINDS = ("bm25", "dense:MODEL", "sparse:MODEL", "cross-encoder:MODEL", "file")
PACKAGE = "package:"


def open_teacher(
    name: str,
    *,
    cache: Path | None = None,
    documents: Callable[[], Iterable[Document]] | None = None,
    examples: Examples | None = None,
    **options: Any,
) -> Teacher:
    """Open a teacher. MODEL is a folder, a name on the hub, or `package:NAME`, a model that a pip package brings.

    cache: the folder of what teachers have computed; None keeps it only as long as the teacher is there.
    documents: gives the corpus whose statistics `bm25` takes, by default the documents of the examples.
    examples: whose own scores `file` gives.
    options, bm25: `k1`, `b`. options, models: `max_length`, `device`, `dtype`, `max_tokens`, and those of
    `lsr.encoders.dense.encoder.load_dense` and `lsr.encoders.registry.load_encoder`.
    Raises UsageError for a name, option or lack of data that can't be, EncoderError for a model that can't be loaded.
    """
    kind, colon, model = name.partition(":")
    try:
        if kind == "bm25" and not colon:
            return _bm25(cache, documents, examples, **options)
        if kind == "file" and not colon:
            return _file(cache, examples, **options)
        if model:
            return _with_model(name, kind, model_folder(model), cache, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise UsageError(f"teacher {name}: {str(error).partition(') ')[2] or error}") from error
    raise UsageError(f"no teacher {name!r}: there are {', '.join(KINDS)}")


def model_folder(model: str) -> str:
    """Return where a model is: `package:NAME` becomes the folder in that package that holds it; all else stays.

    Raises EncoderError for a package that isn't installed or holds no model.
    """
    if not model.startswith(PACKAGE):
        return model
    package = model.removeprefix(PACKAGE)
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        raise EncoderError(f"no package {package!r} is installed: pip install {package.replace('_', '-')}")
    folder = Path(found.origin).parent
    for candidate in (folder, folder / "model"):
        if (candidate / "modules.json").is_file() or (candidate / "config.json").is_file():
            return str(candidate)
    raise EncoderError(f"the package {package!r} holds no model: there is no config.json in {folder} or in its 'model'")


def _bm25(
    cache: Path | None, documents: Callable[[], Iterable[Document]] | None, examples: Examples | None, **options: Any
) -> Teacher:
    from lsr.training.teachers.bm25 import BM25Teacher, kept_counts

    if documents is None:
        if examples is None:
            raise UsageError("teacher bm25: give the documents that it takes its statistics of, or the examples")
        documents = documents_of(examples)
    return BM25Teacher(kept_counts(documents, cache), **options)


def documents_of(examples: Examples) -> Callable[[], Iterable[Document]]:
    """Return what gives the documents of examples, as often as asked for."""
    if isinstance(examples, ExampleSet):
        return examples.documents
    return lambda: (document for i in range(len(examples)) for document in examples[i].documents)


def _file(cache: Path | None, examples: Examples | None) -> Teacher:
    from lsr.training.teachers.pairs import FileTeacher

    if examples is None:
        raise UsageError("teacher file: give the examples whose scores it has")
    return FileTeacher(examples, cache)


def _with_model(name: str, kind: str, model: str, cache: Path | None, **options: Any) -> Teacher:
    if kind == "dense":
        from lsr.encoders.dense.encoder import load_dense
        from lsr.training.teachers.encoders import dense_teacher

        return dense_teacher(name, load_dense(model, **options), cache, dtype=options.get("dtype"))
    if kind == "sparse":
        from lsr.encoders.registry import load_encoder
        from lsr.training.teachers.encoders import sparse_teacher

        encoder: Encoder = load_encoder(model, **options)
        return sparse_teacher(name, encoder, cache, dtype=options.get("dtype"))
    if kind == "cross-encoder":
        from lsr.training.teachers.cross_encoder import load_cross_encoder

        return load_cross_encoder(name, model, cache, **options)
    raise UsageError(f"no teacher {name!r}: there are {', '.join(KINDS)}")
