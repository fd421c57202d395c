"""Encoders by name: those that `--encoder` and `--dense` take, and those that an index's manifest records.

A kind of encoder registers itself from its own module (`register`), which is imported when a name asks for it. So
nothing here imports torch, and nothing here knows more of a kind than its name and its module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from lsr.encoders.base import Encoder, QueryEncoder, TermLookup
from lsr.encoders.dense.base import DENSE, DenseEncoder
from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.text.term_spans import TermFinder
from lsr.errors import EncoderError, UsageError
from lsr.io.folder import Folder
from lsr.types import SparseBatch

MODEL = "model"
"""The kind of sparse models, whatever their family; `dense.base.DENSE` is that of dense ones.

A name that no other kind has is one of a model."""

JOINT = "joint"
"""Names the dense half of a joint encoder where a dense encoder is named."""

_MODULES = {
    "bm25": "lsr.encoders.lexical.bm25",
    "codes": "lsr.encoders.converted.sparse_codes",
    "densified": "lsr.encoders.converted.densified",
    DENSE: "lsr.encoders.dense.kind",
    JOINT: "lsr.encoders.sparse.kind",
    MODEL: "lsr.encoders.sparse.kind",
    "token-table": "lsr.encoders.sparse.token_table",
    "spar": "lsr.encoders.converted.imitation",
}
"""The module that registers each kind."""

IDENTITY = ("kind", "revision", "tokenizer_hash", "query_side", "settings")
"""Values of a description that are the same for two encoders only if they give the same vectors."""


@dataclass(frozen=True, slots=True)
class QuerySide:
    """The part of an index that encodes its queries.

    folder: the files that `Encoder.save_query_side` wrote, None where it wrote none.
    lookup: term ids of the index. vocab_size: their number.
    moved_to: the place of the encoder's model that the user names; None: the recorded one.
    """

    folder: Path | Folder | None
    lookup: TermLookup
    vocab_size: int
    moved_to: str | Path | None = None

    @property
    def files(self) -> Path | Folder:
        """The folder. Raises EncoderError where there is none."""
        if self.folder is None:
            raise EncoderError("the index holds no files of its encoder's query side: index the corpus again")
        return self.folder


class WordTerms(NamedTuple):
    """The terms of an index that are words: made by an analyser of these settings, `mark` before each."""

    settings: AnalyserSettings
    mark: str = ""


@dataclass(frozen=True, slots=True)
class EncoderKind:
    """A kind of encoder: its name, and the functions that load, open and use one. None: the kind can't do that.

    name: `kind` of a description, and what a user writes. usage: how a user writes it; with a colon behind `name`, what
    follows it is passed to `load` and `load_dense`.
    load: (name, **options) → Encoder. load_dense: (name, sparse=…, **options) → DenseEncoder.
    open_documents: (description, terms, moved_to=…, **options) → Encoder, to continue an index.
    open_queries: (description, QuerySide) → QueryEncoder. fit_queries: (loaded encoder, description, QuerySide) →
    QueryEncoder, or None where an index needs no loaded encoder; None: no index of this kind does.
    open_dense: (description, moved_to=…, **options) → DenseEncoder.
    find_terms: (description, encoder or opened query side) → TermFinder.
    weigh_beside_dense: (queries, description, weight of words or None) → queries weighed for a hybrid search; None:
    they stay as they are.
    find_words: description → the terms that words are, None where they are none; None: no encoder of this kind has any.
    """

    name: str
    usage: str = ""
    load: Callable[..., Encoder] | None = None
    load_dense: Callable[..., DenseEncoder] | None = None
    open_documents: Callable[..., Encoder] | None = None
    open_queries: Callable[[Mapping[str, Any], QuerySide], QueryEncoder] | None = None
    fit_queries: Callable[[Any, Mapping[str, Any], QuerySide], QueryEncoder | None] | None = None
    open_dense: Callable[..., DenseEncoder] | None = None
    find_terms: Callable[[Mapping[str, Any], Any], TermFinder] | None = None
    weigh_beside_dense: Callable[[SparseBatch, Mapping[str, Any], float | None], SparseBatch] | None = None
    find_words: Callable[[Mapping[str, Any]], WordTerms | None] | None = None

    @property
    def takes_name(self) -> bool:
        """True if a user writes a name behind a colon."""
        return self.usage.startswith(f"{self.name}:")


_KINDS: dict[str, EncoderKind] = {}


def register(kind: EncoderKind) -> None:
    """Make a kind of encoder known by its name, in place of one of the same name."""
    _KINDS[kind.name] = kind


def load_encoder(name_or_path: str | Path, **options: Any) -> Encoder:
    """Load an encoder: `bm25`, `default` (the bundled model), a folder, or a name on the hub.

    `codes:FOLDER` is a dense encoder whose vectors become sparse codes, as `lsr codes` made them.
    options, bm25: `k1`, `b`, `stemmer`, `terms` (of an index to be continued).
    options, words of either: `language`, `stop_words` (`lsr.encoders.lexical.language`).
    options, models: `revision`, `family` (of a plain checkpoint), `max_length`, `top_k`, `threshold`, `device`,
    `dtype`, `max_tokens`, `words` (weight of exact words in queries, 0 for none).
    Raises EncoderError if there is no such encoder or it is broken, UsageError for an option that it doesn't take.
    """
    kind, name = _kind_named(name_or_path, "load", MODEL)
    assert kind.load is not None
    try:
        return kind.load(name, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise UsageError(f"encoder {name_or_path}: {str(error).partition(') ')[2] or error}") from error


def load_dense_encoder(name_or_path: str | Path, *, sparse: Encoder | None = None, **options: Any) -> DenseEncoder:
    """Load a dense encoder by a folder or hub name, or "joint" for the dense vectors of `sparse`.

    `densified:E` is the sparse encoder E as a dense one, of 768 slices; `densified:N:E` of N.
    options: `revision`, `pooling`, `normalise`, `query_prompt`, `document_prompt`, `max_length`, `device`, `dtype`.
    Raises EncoderError if it can't be loaded, UsageError for "joint" beside an encoder that isn't a joint one.
    """
    kind, name = _kind_named(name_or_path, "load_dense", DENSE)
    assert kind.load_dense is not None
    return kind.load_dense(name, sparse=sparse, **options)


def open_query_encoder(
    description: Mapping[str, Any],
    folder: Path | Folder | None,
    lookup: TermLookup,
    vocab_size: int,
    *,
    moved_to: str | Path | None = None,
) -> QueryEncoder:
    """Open the query side of the encoder that an index was built with.

    description: as `Encoder.description` gave it. folder: written by `Encoder.save_query_side`.
    lookup: the index's term ids. vocab_size: number of its terms. moved_to: present place of the model (default: the
    recorded one).
    Words and tables need neither torch nor transformers. Raises EncoderError if it can't be opened, or is another.
    """
    kind = kind_of(description)
    if kind.open_queries is None:
        raise unknown_kind(description)
    return kind.open_queries(description, QuerySide(folder, lookup, vocab_size, moved_to))


def fit_query_encoder(
    encoder: Encoder, description: Mapping[str, Any], lookup: TermLookup, vocab_size: int
) -> QueryEncoder | None:
    """Return a loaded encoder's queries over an index's vocabulary; None where the index's own files encode them.

    description: the index's. Raises EncoderError for another encoder than the index's.
    """
    check_same(description, encoder.description)
    fit = kind_of(description).fit_queries
    return None if fit is None else fit(encoder, description, QuerySide(None, lookup, vocab_size))


def open_document_encoder(
    description: Mapping[str, Any], terms: Sequence[str], *, moved_to: str | Path | None = None, **options: Any
) -> Encoder:
    """Open the encoder that an index was built with, so that documents can be added to it.

    description: as `Encoder.description` gave it. terms: the index's, term i having id i. moved_to: present
    place of the model (default: the recorded one). options: `device`, `dtype` of a model. Raises EncoderError if it
    can't be opened, or has changed.
    """
    kind = kind_of(description)
    if kind.open_documents is None:
        raise unknown_kind(description)
    encoder = kind.open_documents(description, terms, moved_to=moved_to, **options)
    check_same(description, encoder.description)
    return encoder


def open_dense_encoder(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any
) -> DenseEncoder:
    """Load the encoder that an index's dense vectors are of.

    description: as `dense_description` gave it. moved_to: present place of the model (default: the
    recorded one). options: `device`, `dtype`. Raises EncoderError if it isn't there, or has changed.
    """
    kind = kind_of(description)
    if kind.open_dense is None:
        raise unknown_kind(description)
    encoder = kind.open_dense(description, moved_to=moved_to, **options)
    check_same(description, encoder.description)
    if encoder.dimension != description["dimension"]:
        raise EncoderError(
            f"the index's dense vectors have dimension {description['dimension']}, but {description['name']} now gives "
            f"{encoder.dimension}: the model was changed"
        )
    return encoder


def find_terms(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    """Return a finder of an encoder's terms in texts. encoder: itself, or its opened query side."""
    kind = kind_of(description)
    if kind.find_terms is None:
        raise unknown_kind(description)
    return kind.find_terms(description, encoder)


def find_words(description: Mapping[str, Any]) -> WordTerms | None:
    """Return the terms of an encoder that are a document's words, all of them; None where there are none."""
    kind = kind_of(description)
    return None if kind.find_words is None else kind.find_words(description)


def weigh_beside_dense(
    queries: SparseBatch, description: Mapping[str, Any], word_weight: float | None = None
) -> SparseBatch:
    """Return an encoder's queries weighed for a hybrid search, where dense vectors are compared too.

    word_weight: of exact words, where the encoder has such (default: the encoder's).
    """
    weigh = kind_of(description).weigh_beside_dense
    return queries if weigh is None else weigh(queries, description, word_weight)


def check_same(recorded: Mapping[str, Any], loaded: Mapping[str, Any]) -> None:
    """Raise EncoderError unless two descriptions are of encoders that give the same vectors."""
    for key in IDENTITY:
        if recorded.get(key) != loaded.get(key):
            raise EncoderError(
                f"the index was built with encoder {recorded.get('name')!r}, {key} {recorded.get(key)!r:.120}, "
                f"but this one has {key} {loaded.get(key)!r:.120}: give the first, or index the corpus again"
            )


def kind_of(description: Mapping[str, Any]) -> EncoderKind:
    """Return the kind of encoder that a description is of: sparse models bear the names of their families."""
    return _kind(str(description.get("kind"))) or _known(MODEL)


def unknown_kind(description: Mapping[str, Any]) -> EncoderError:
    """Return the error for a description that no kind of encoder can open."""
    return EncoderError(
        f"the index was built with encoder kind {description.get('kind')!r}, query side "
        f"{description.get('query_side')!r}, which this program doesn't know: use a newer one, or index the corpus "
        "again"
    )


def usages(what: str) -> list[str]:
    """Return how users write the kinds that can do `what`: `load` or `load_dense`."""
    kinds = [_known(name) for name in dict.fromkeys([*_MODULES, *_KINDS])]
    return [kind.usage for kind in kinds if kind.usage and getattr(kind, what) is not None]


def _kind_named(name_or_path: str | Path, what: str, otherwise: str) -> tuple[EncoderKind, str | Path]:
    """Return the kind that a user's name asks for, and the name that its `what` takes."""
    head, colon, rest = str(name_or_path).partition(":")
    kind = _kind(head)
    if kind is not None and kind.usage and kind.takes_name == bool(colon) and getattr(kind, what) is not None:
        return kind, rest if colon else head
    return _known(otherwise), name_or_path


def _kind(name: str) -> EncoderKind | None:
    if name not in _KINDS and name in _MODULES:
        import_module(_MODULES[name])
    return _KINDS.get(name)


def _known(name: str) -> EncoderKind:
    kind = _kind(name)
    assert kind is not None, f"{_MODULES[name]} doesn't register {name}"
    return kind
