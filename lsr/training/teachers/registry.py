"""Registry of teachers by name: `bm25`, `dense:MODEL`, `sparse:MODEL`, `cross-encoder:MODEL`, `file`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.training.data.example import Examples
from lsr.training.model.model_folder import model_folder
from lsr.training.teachers.base import TEACHERS, Teacher, TeacherRequest
from lsr.types import Document


def open_teacher(
    name: str,
    *,
    cache: Path | None = None,
    documents: Callable[[], Iterable[Document]] | None = None,
    examples: Examples | None = None,
    **options: Any,
) -> Teacher:
    """Open a teacher. MODEL is a folder, a name on the hub, or `package:NAME`, a model in a Python package.

    cache: folder of the teachers' caches; None keeps scores only as long as the teacher is there.
    documents: gives the corpus whose statistics `bm25` takes (default: the documents of the examples).
    examples: whose own scores `file` gives.
    options, bm25: `k1`, `b`. options, models: `max_length`, `device`, `dtype`, `max_tokens`, and those of
    `lsr.encoders.dense.encoder.load_dense` and `lsr.encoders.registry.load_encoder`.
    Raises UsageError for a name, option or lack of data that doesn't fit, EncoderError for a model that can't be
    loaded.
    """
    kind_name, colon, model = name.partition(":")
    kind = TEACHERS.get(kind_name)
    if kind is None or bool(model) != kind.takes_model or bool(colon) != kind.takes_model:
        raise UsageError(f"no teacher {name!r}: there are {', '.join(teacher_names())}")
    request = TeacherRequest(name, model_folder(model) if model else "", cache, documents, examples)
    try:
        return kind.open(request, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise UsageError(f"teacher {name}: {str(error).partition(') ')[2] or error}") from error


def teacher_names() -> list[str]:
    """Return the names of all teachers, `:MODEL` behind those that take a model."""
    return [f"{name}:MODEL" if TEACHERS[name].takes_model else name for name in TEACHERS.names()]
