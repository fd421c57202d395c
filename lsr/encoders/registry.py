"""Encoders by name: what `--encoder` takes, and what an index's manifest says of the one it was built with.

Nothing here imports torch until a model is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.encoders.base import Encoder, QueryEncoder, TermLookup
from lsr.encoders.dense.base import DENSE, DenseEncoder, JointEncoder
from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder, open_bm25_query_encoder
from lsr.encoders.lexical.exact_words import QueriesWithWords, words_config
from lsr.errors import EncoderError, UsageError
from lsr.io.folder import Folder
from lsr.models import carried

if TYPE_CHECKING:
    from lsr.encoders.sparse.encoder import NeuralEncoder

JOINT = "joint"
"""Stands for the dense half of a joint encoder where a dense one is to be named."""

NAMED = ("bm25", "default")
"""Encoders that need no model folder: words, and the model that the package carries."""

CODES, DENSIFIED = "codes", "densified"
"""Kinds that stand before a colon: sparse codes of dense vectors, in a folder; a sparse encoder as a dense one."""

IDENTITY = ("kind", "revision", "tokenizer_hash", "query_side", "settings")
"""What of a description has to be the same for two encoders to give the same vectors."""


def load_encoder(name_or_path: str | Path, **options: Any) -> Encoder:
    """Load an encoder: `bm25`, `default` (the model that the package carries), a folder, or a name on the hub.

    `codes:FOLDER` is a dense encoder whose vectors become sparse codes, as `lsr codes` made them.
    options, bm25: `k1`, `b`, `stemmer`, `stop_words`, `terms` (of an index that is to be continued).
    options, models: `revision`, `max_length`, `top_k`, `threshold`, `device`, `dtype`, `max_tokens`.
    Raises EncoderError if there is no such encoder or it is broken, UsageError for an option that it doesn't take.
    """
    try:
        if str(name_or_path) == "bm25":
            return _bm25(**options)
        if str(name_or_path).startswith(f"{CODES}:"):
            return _load_codes(Path(str(name_or_path).removeprefix(f"{CODES}:")), **options)
        if carried(str(name_or_path)) is not None or _might_be_model(name_or_path):
            from lsr.encoders.pretrained.load_encoder import load_neural

            return load_neural(name_or_path, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise UsageError(f"encoder {name_or_path}: {str(error).partition(') ')[2] or error}") from error
    raise EncoderError(
        f"no encoder {str(name_or_path)!r}: known are {', '.join(NAMED)}, "
        f"the folder of a model, names on the hub such as owner/model, and {CODES}:FOLDER"
    )


def load_dense_encoder(name_or_path: str | Path, *, sparse: Encoder | None = None, **options: Any) -> DenseEncoder:
    """Load what `--dense` names: a dense model's folder or hub name, or "joint" for the dense vectors of `sparse`.

    `densified:E` is the sparse encoder E as a dense one, of 768 slices; `densified:N:E` of N.
    options: `revision`, `pooling`, `normalise`, `query_prompt`, `document_prompt`, `max_length`, `device`, `dtype`.
    Raises EncoderError if it can't be loaded, UsageError for "joint" beside an encoder that isn't a joint one.
    """
    if str(name_or_path) == JOINT:
        if isinstance(sparse, JointEncoder):
            return sparse
        name = "none" if sparse is None else sparse.description["name"]
        raise UsageError(
            f"--dense {JOINT} takes the dense vectors of a joint encoder, but the encoder is {name}: name a dense model"
        )
    if str(name_or_path).startswith(f"{DENSIFIED}:"):
        return _densified(str(name_or_path), **options)
    from lsr.encoders.dense.encoder import load_dense

    return load_dense(name_or_path, **options)


def open_query_encoder(
    description: Mapping[str, Any],
    folder: Path | Folder | None,
    lookup: TermLookup,
    vocab_size: int,
    *,
    moved_to: str | Path | None = None,
) -> QueryEncoder:
    """Open the query side of the encoder that an index was built with.

    description: as `Encoder.description` gave it. folder: what `Encoder.save_query_side` wrote to,
    None where it wrote nothing. lookup: the index's term ids. vocab_size: the number of its terms. moved_to: where the
    model is now.
    Words and tables need neither torch nor transformers. Raises EncoderError if it can't be opened, or is another.
    """
    config = words_config(description)
    model = _open_queries_of_model(description, folder, lookup, vocab_size, moved_to)
    return model if config is None else QueriesWithWords(model, config, lookup, vocab_size)


def _open_queries_of_model(
    description: Mapping[str, Any],
    folder: Path | Folder | None,
    lookup: TermLookup,
    vocab_size: int,
    moved_to: str | Path | None,
) -> QueryEncoder:
    """Open the query side of an encoder, without words beside it."""
    side = description.get("query_side")
    if side == "words" and description.get("kind") == "bm25":
        return open_bm25_query_encoder(description, lookup, vocab_size)
    if folder is None and (side == "table" or (side == "model" and description["kind"] == CODES)):
        raise EncoderError("the index holds no files of its encoder's query side: index the corpus again")
    if side == "table":
        from lsr.encoders.sparse.query_table import open_table

        settings = description["settings"]
        query = settings.get("query") or {}
        assert folder is not None
        return open_table(
            folder,
            lookup,
            vocab_size,
            max_length=query.get("max_length"),
            prompt=query.get("prompt", ""),
            repeats=settings.get("query_repeats", "once"),
        )
    if side == "model" and description["kind"] == CODES:
        return _open_codes_queries(description, folder, lookup, vocab_size, moved_to)
    if side == "model":
        from lsr.encoders.sparse.vocabulary_map import RemappedQueryEncoder

        encoder = load_recorded(description, moved_to=moved_to).without_words
        return RemappedQueryEncoder(encoder, encoder.terms, lookup, vocab_size)
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
    if description.get("kind") == CODES:
        encoder = _load_codes(Path(str(description["name"]).removeprefix(f"{CODES}:")))
        check_same(description, encoder.description)
        return encoder
    if description.get("query_side") in ("table", "model"):
        return load_recorded(description, terms=terms)
    raise EncoderError(
        f"the index was built with encoder kind {description.get('kind')!r}, which this program doesn't know: "
        "use a newer one, or index the corpus again"
    )


def load_recorded(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any
) -> NeuralEncoder:
    """Load the model that a description was made of, with the settings that it names.

    moved_to: the folder where it is now; default, the name that it had. options: `device`, `dtype`, `terms`. Raises
    EncoderError if it isn't there, or is another.
    """
    from lsr.encoders.pretrained.load_encoder import load_neural

    document = description["settings"]["document"]
    encoder = load_neural(
        _place(description, moved_to, "--encoder"),
        plain_family=description["kind"],
        revision=_revision(description, moved_to),
        max_length=document["max_length"],
        top_k=document["pruning"]["top_k"],
        threshold=document["pruning"]["threshold"],
        **options,
    )
    check_same(description, encoder.description)
    return encoder


def open_dense_encoder(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any
) -> DenseEncoder:
    """Load the encoder that an index's dense vectors are of.

    description: as `dense_description` gave it. moved_to: the folder where the model is now; default, the name that
    it had. options: `device`, `dtype`. Raises EncoderError if it isn't there, or is another.
    """
    encoder: DenseEncoder
    if description["kind"] == DENSE:
        from lsr.encoders.dense.encoder import load_dense

        names = ("pooling", "normalise", "query_prompt", "document_prompt", "max_length")
        encoder = load_dense(
            _place(description, moved_to, "--dense"),
            revision=_revision(description, moved_to),
            **{name: description["settings"][name] for name in names},
            **options,
        )
        check_same(description, encoder.description)
    elif description["kind"] == DENSIFIED:
        from lsr.encoders.converted.densified import DensifiedEncoder

        settings = description["settings"]
        sparse = (
            open_document_encoder(settings["encoder"], ())
            if moved_to is None
            else load_recorded(settings["encoder"], moved_to=moved_to)
        )
        encoder = DensifiedEncoder(sparse, int(settings["dimension"]))
        check_same(description, encoder.description)
    else:
        loaded = load_recorded(description, moved_to=moved_to, **options)
        if not isinstance(loaded, JointEncoder):
            raise EncoderError(f"{loaded.name}: the index's dense vectors are of a joint encoder, which it isn't")
        encoder = loaded
    if encoder.dimension != description["dimension"]:
        raise EncoderError(
            f"the index's dense vectors have dimension {description['dimension']}, but {description['name']} now gives "
            f"{encoder.dimension}: the model was changed"
        )
    return encoder


def _load_codes(folder: Path, **options: Any) -> Encoder:
    """Load sparse codes and the dense encoder that they were fitted to. options: `device`, `dtype`."""
    from lsr.encoders.converted.sparse_codes import SparseCodesEncoder, read_codes

    folder = folder.expanduser().resolve()
    autoencoder, description = read_codes(folder)
    return SparseCodesEncoder(folder, open_dense_encoder(description, **options), autoencoder)


def _open_codes_queries(
    description: Mapping[str, Any],
    folder: Path | Folder | None,
    lookup: TermLookup,
    vocab_size: int,
    moved_to: str | Path | None,
) -> QueryEncoder:
    """Open the queries' side of sparse codes: without torch where the dense model is one for numpy.

    moved_to: where the dense model is now.
    """
    from lsr.encoders.converted.sparse_codes import names_of, open_codes_query_encoder
    from lsr.encoders.dense.numpy_encoder import open_bare
    from lsr.encoders.sparse.vocabulary_map import RemappedQueryEncoder

    described = description["settings"]["dense"]
    dense = open_bare(described, moved_to=moved_to) or open_dense_encoder(described, moved_to=moved_to)
    terms = names_of(int(description["settings"]["n_codes"]))
    return RemappedQueryEncoder(open_codes_query_encoder(Path(str(folder)), dense), terms, lookup, vocab_size)


def _densified(name: str, **options: Any) -> DenseEncoder:
    from lsr.encoders.converted.densified import SLICES, DensifiedEncoder

    n_slices, colon, encoder = name.removeprefix(f"{DENSIFIED}:").partition(":")
    if not (colon and n_slices.isdigit()):
        n_slices, encoder = str(SLICES), name.removeprefix(f"{DENSIFIED}:")
    if not encoder:
        raise UsageError(f"{name} names no sparse encoder: {DENSIFIED}:E, E being the folder of a model or its name")
    return DensifiedEncoder(load_encoder(encoder, **options), int(n_slices))


def _place(description: Mapping[str, Any], moved_to: str | Path | None, option: str) -> str | Path:
    """Return where a model is. Raises EncoderError, naming the remedy, for a folder that is gone."""
    if moved_to is not None:
        return moved_to
    name = str(description["name"])
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise EncoderError(
            f"the index was made with the model in {name}, which isn't there any more: say with {option} where it is "
            "now; what it holds is compared"
        )
    return name


def _revision(description: Mapping[str, Any], moved_to: str | Path | None) -> str | None:
    """Return which revision to ask the hub for; None for a folder."""
    revision = str(description["revision"])
    return None if revision.startswith("sha256:") or moved_to is not None else revision


def _bm25(**options: Any) -> BM25Encoder:
    settings = {name: options.pop(name) for name in ("stemmer", "stop_words") if name in options}
    return BM25Encoder(AnalyserSettings(**settings), **options)


def _might_be_model(name_or_path: str | Path) -> bool:
    return isinstance(name_or_path, Path) or "/" in name_or_path or Path(name_or_path).is_dir()
