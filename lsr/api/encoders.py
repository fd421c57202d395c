"""Encoders as callers name them: a name, a folder, or an encoder that is loaded already."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_count, check_name, check_text, names_of, shown
from lsr.api.wording import python_messages
from lsr.errors import UsageError

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.encoders.dense.base import DenseEncoder
    from lsr.indexer.encode.document_reader import DocumentReader

NAMES_A_MODEL = "'bm25', 'default', the folder of a model, or its name on the Hugging Face hub (str or Path)"
PASSAGE_SETTINGS = ("overlap", "max_length")

_TEXTS = ("revision", "device", "dtype", "language", "stemmer")
_COUNTS = ("max_length", "top_k", "max_tokens")
_NUMBERS = ("k1", "b", "threshold")
OPTIONS = (*_TEXTS, "stop_words", *_COUNTS, *_NUMBERS, "terms")


@python_messages
def load_encoder(name_or_path: str | Path, **options: Any) -> Encoder:
    """Load an encoder of documents and queries.

    Args:
        name_or_path: `bm25`, `default` (the bundled model), the folder of a model, its name on the Hugging Face hub,
            or `codes:FOLDER`.
        options: settings of models (`revision`, `max_length`, `top_k`, `threshold`, `device`, `dtype`, `max_tokens`) or
            of bm25 (`k1`, `b`); for the words of either `language` (a Snowball language, or none) and `stop_words` (a
            list of words, or the name of a language that has one).

    Returns:
        The encoder, as `lsr.index(…, encoder=…)` takes it.

    Raises:
        EncoderError: there is no such encoder, or it is broken.
        UsageError: an option is unknown to this encoder or out of its range.

    Example:
        >>> import lsr
        >>> encoder = lsr.load_encoder("bm25", k1=0.9, b=0.4)
        >>> vectors = encoder.encode_queries(["growing trees"])
        >>> len(vectors), vectors.nnz
        (1, 0)
        >>> encoder.encode_documents([lsr.Document("1", "Trees grow slowly.")]).nnz
        3
    """
    from lsr.encoders.registry import load_encoder as load

    name = check_name(name_or_path, "the encoder", NAMES_A_MODEL)
    if name is None:
        raise UsageError(f"the encoder is None; it must be {NAMES_A_MODEL}")
    return load(name, **_checked(options))


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that aren't None. Raises UsageError for an unknown name or a value of a wrong kind."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(OPTIONS)}"
            raise UsageError(f"an encoder has no option {name!r}; {hint}")
        if name in _TEXTS:
            check_text(value, name)
        elif name == "stop_words":
            given[name] = value if isinstance(value, str) else names_of(value, name, "a language or a list of words")
        elif name in _COUNTS:
            check_count(value, name)
        elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
            raise UsageError(f"{name} is {shown(value)}; it must be a number")
    return given


def encoder_of(value: Any, *, words: Mapping[str, Any] | None = None, **placement: str | None) -> Encoder:
    """Return the encoder that a caller names or gives; for None the default one.

    Args:
        value: a name or path, an encoder, or None for $LSR_ENCODER, else the bundled model.
        words: `language` and `stop_words` of its words (default: its own).
        placement: `device` and `dtype` of a model, None where its own choice holds.
    """
    from lsr.models import default_encoder

    of_words = {name: given for name, given in (words or {}).items() if given is not None}

    if value is None:
        value = default_encoder()
    if isinstance(value, str | Path):
        of_models = {name: at for name, at in placement.items() if at is not None}
        return load_encoder(value, **({} if str(value) == "bm25" else of_models), **of_words)
    if not all(hasattr(value, part) for part in ("encode_documents", "encode_queries", "description", "terms")):
        raise UsageError(f"encoder is {shown(value)}; it must be {NAMES_A_MODEL}, or what lsr.load_encoder returned")
    if of_words:
        raise UsageError(f"{next(iter(of_words))} goes with the name of an encoder: this one is loaded, with its words")
    encoder: Encoder = value
    return encoder


def dense_encoder_of(value: Any, sparse: Encoder | None, **placement: str | None) -> DenseEncoder | None:
    """Return the encoder of dense vectors that a caller names or gives, None for None.

    Args:
        value: a name or path of a dense model, `joint` for the dense vectors of `sparse`, an encoder, or None.
        sparse: the encoder of the sparse vectors, if there is one.
        placement: as of `encoder_of`.
    """
    from lsr.encoders.dense.base import DenseEncoder
    from lsr.encoders.registry import load_dense_encoder

    what = "the folder of a dense model, its name on the hub, or 'joint' (str or Path)"
    if value is None:
        return None
    if isinstance(value, str | Path):
        name = check_name(value, "dense", what)
        assert name is not None
        of_models = {key: at for key, at in placement.items() if at is not None}
        return load_dense_encoder(name, sparse=sparse, **of_models)
    if not isinstance(value, DenseEncoder):
        raise UsageError(f"dense is {shown(value)}; it must be {what}, or a loaded dense encoder")
    return value


def reader_of(passages: Any, encoder: Encoder, dense: DenseEncoder | None, *, behind: int = 0) -> DocumentReader | None:
    """Return the reader of documents, which cuts long ones into passages; None where they are read as they are.

    Args:
        passages: True for passages of as many tokens as the models read; a dict of `overlap` and `max_length`, in
            tokens; False for none; None for True where a model reads a limited number of tokens.
        encoder: encoder of the sparse vectors.
        dense: encoder of the dense vectors, if there is one.
        behind: tokens that are read behind each text.
    """
    settings = passage_settings(passages)
    from lsr.indexer.encode.document_reader import reader_for

    wanted = passages if passages is None or passages is False else True
    return reader_for(encoder, dense, passages=wanted, behind=behind, **(settings or {}))


def passage_settings(passages: Any) -> dict[str, int] | None:
    """Check how passages are asked for; see `reader_of`. Raises UsageError."""
    if passages is None or passages is False:
        return None
    if passages is True:
        return {}
    if not isinstance(passages, Mapping):
        raise UsageError(f"passages is {shown(passages)}; it must be True, False, or a dict of {PASSAGE_SETTINGS}")
    for name in passages:
        if name not in PASSAGE_SETTINGS:
            raise UsageError(f"passages has no setting {name!r:.100}; there are {' and '.join(PASSAGE_SETTINGS)}")
    given = {name: value for name, value in passages.items() if value is not None}
    return {
        name: check_count(value, f"passages[{name!r}]", least=name == "max_length") for name, value in given.items()
    }
