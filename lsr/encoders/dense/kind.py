"""Dense models as a kind of encoder. Nothing here imports torch until a model is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.encoders.compiled.choose import compiled_options
from lsr.encoders.dense.base import DENSE, DenseEncoder
from lsr.encoders.pretrained.known_models import recorded_place
from lsr.encoders.registry import EncoderKind, register

_RECORDED = ("pooling", "normalise", "query_prompt", "document_prompt", "max_length")


def _load_dense(name_or_path: str | Path, *, sparse: Encoder | None = None, **options: Any) -> DenseEncoder:
    """Load a dense model. sparse: the index's other encoder, which doesn't matter here."""
    del sparse
    return _load(name_or_path, **options)


def _load(name_or_path: str | Path, **options: Any) -> DenseEncoder:
    chosen = compiled_options(name_or_path, options)
    if chosen is not None:
        from lsr.encoders.compiled.open import open_dense_compiled

        return open_dense_compiled(name_or_path, **chosen)
    from lsr.encoders.dense.encoder import load_dense

    return load_dense(name_or_path, **options)


def _open_dense(description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any) -> DenseEncoder:
    place, revision = recorded_place(description, moved_to, "--dense")
    settings = {name: description["settings"][name] for name in _RECORDED}
    return _load(place, revision=revision, **settings, **options)


register(
    EncoderKind(DENSE, usage="the folder or hub name of a dense model", load_dense=_load_dense, open_dense=_open_dense)
)
