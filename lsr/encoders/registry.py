"""Encoders by name: what `--encoder` takes, and what an index's manifest says of the one it was built with.

Nothing here imports torch until a model is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.analyser import AnalyserSettings
from lsr.encoders.base import Encoder, QueryEncoder, TermLookup
from lsr.encoders.bm25 import BM25Encoder, open_bm25_query_encoder
from lsr.errors import EncoderError, UsageError

NAMED = ("bm25",)
"""Encoders that need no model folder."""

IDENTITY = ("kind", "revision", "tokenizer_hash", "query_side", "settings")
"""What of a description has to be the same for two encoders to give the same vectors."""


def load_encoder(name_or_path: str | Path, **options: Any) -> Encoder:
    """Load an encoder: a name (`bm25`), a model's folder, or a model's name on the Hugging Face hub.

    options, bm25: `k1`, `b`, `stemmer`, `stop_words`, `terms` (of an index that is to be continued).
    options, models: `revision`, `max_length`, `top_k`, `threshold`, `device`, `dtype`, `max_tokens`.
    Raises EncoderError if there is no such encoder or it is broken, UsageError for an option that it doesn't take.
    """
    try:
        if str(name_or_path) == "bm25":
            return _bm25(**options)
        if str(name_or_path) in NAMED or _might_be_model(name_or_path):
            from lsr.encoders.building import load_neural

            return load_neural(name_or_path, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise UsageError(f"encoder {name_or_path}: {str(error).partition(') ')[2] or error}") from error
    raise EncoderError(
        f"no encoder {str(name_or_path)!r}: known are {', '.join(NAMED)}, "
        "the folder of a model, and names on the hub such as owner/model"
    )


def open_query_encoder(
    description: Mapping[str, Any], folder: Path, lookup: TermLookup, vocab_size: int
) -> QueryEncoder:
    """Open the query side of the encoder that an index was built with.

    description: as `Encoder.description` gave it. folder: what `Encoder.save_query_side` wrote to.
    lookup: the index's term ids. vocab_size: the number of its terms.
    Words and tables need neither torch nor transformers. Raises EncoderError if it can't be opened, or is another.
    """
    side = description.get("query_side")
    if side == "words" and description.get("kind") == "bm25":
        return open_bm25_query_encoder(description, lookup, vocab_size)
    if side == "table":
        from lsr.encoders.table import open_table

        query = description["settings"].get("query") or {}
        return open_table(
            folder, lookup, vocab_size, max_length=query.get("max_length"), prompt=query.get("prompt", "")
        )
    if side == "model":
        return _open_model(description, lookup, vocab_size)
    raise EncoderError(
        f"the index was built with encoder kind {description.get('kind')!r}, query side {side!r}, "
        "which this program doesn't know: use a newer one, or index the corpus again"
    )


def check_same(recorded: Mapping[str, Any], loaded: Mapping[str, Any]) -> None:
    """Raise EncoderError unless two descriptions are of encoders that give the same vectors."""
    for key in IDENTITY:
        if recorded.get(key) != loaded.get(key):
            raise EncoderError(
                f"the index was built with encoder {recorded.get('name')!r}, {key} {recorded.get(key)!r:.120}, "
                f"but this one has {key} {loaded.get(key)!r:.120}: give the first, or index the corpus again"
            )


def open_document_encoder(description: Mapping[str, Any], terms: Sequence[str]) -> Encoder:
    """Open the encoder that an index was built with, so that documents can be added to it.

    description: as `Encoder.description` gave it. terms: the index's, term i having id i. Raises EncoderError if it
    can't be opened, or is another by now.
    """
    if description.get("kind") == "bm25":
        try:
            settings = description["settings"]
            analyser = AnalyserSettings.from_json(settings["analyser"])
            encoder: Encoder = BM25Encoder(analyser, k1=settings["k1"], b=settings["b"], terms=terms)
        except (KeyError, TypeError) as error:
            raise EncoderError("BM25: the index doesn't say how its words were made: index the corpus again") from error
        check_same(description, encoder.description)
        return encoder
    if description.get("query_side") in ("table", "model"):
        return _load_described(description)
    raise EncoderError(
        f"the index was built with encoder kind {description.get('kind')!r}, which this program doesn't know: "
        "use a newer one, or index the corpus again"
    )


def _open_model(description: Mapping[str, Any], lookup: TermLookup, vocab_size: int) -> QueryEncoder:
    from lsr.encoders.remap import RemappedQueryEncoder

    encoder = _load_described(description)
    return RemappedQueryEncoder(encoder, encoder.terms, lookup, vocab_size)


def _load_described(description: Mapping[str, Any]) -> Encoder:
    """Load the model that a description names. Raises EncoderError if it is another by now."""
    from lsr.encoders.building import load_neural

    document = description["settings"]["document"]
    name = description["name"]
    revision = str(description["revision"])
    encoder = load_neural(
        name,
        revision=None if revision.startswith("sha256:") else revision,
        max_length=document["max_length"],
        top_k=document["pruning"]["top_k"],
        threshold=document["pruning"]["threshold"],
    )
    check_same(description, encoder.description)
    return encoder


def _bm25(**options: Any) -> BM25Encoder:
    settings = {name: options.pop(name) for name in ("stemmer", "stop_words") if name in options}
    return BM25Encoder(AnalyserSettings(**settings), **options)


def _might_be_model(name_or_path: str | Path) -> bool:
    return isinstance(name_or_path, Path) or "/" in name_or_path or Path(name_or_path).is_dir()
