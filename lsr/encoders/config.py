"""Configuration of an encoder: its parts as values that JSON holds, validated when they are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from lsr.encoders.lexical.analyser import WORDS_ALONE, AnalyserSettings
from lsr.errors import EncoderError, UsageError

DENSE_POOLINGS = ("mean", "cls", "last", "max")
HEADS = {
    "mlm": "lsr.encoders.network.heads.mlm",
    "causal": "lsr.encoders.network.heads.mlm",
    "mlp": "lsr.encoders.network.heads.mlp",
    "gated": "lsr.encoders.network.heads.gated",
    "phrases": "lsr.encoders.network.heads.phrases",
    "ngrams": "lsr.encoders.network.heads.ngrams",
    "wta": "lsr.encoders.network.heads.wta",
}
"""The module that registers each head (`lsr.encoders.network.heads.base.register_head`), by the head's name."""
ACTIVATION_NAMES = ("relu", "log1p(relu)", "log1p(log1p(relu))")
POOLINGS = ("max", "sum")
EXPANSIONS = ("all", "input")
CANDIDATES = ("text", "all")
QUERY_SIDES = ("same", "own", "table", "binary")
REPEATS = ("once", "log")
DOT, COSINE = "dot", "cosine"

_Settings = TypeVar("_Settings")


def _one_of(name: str, value: object, known: Collection[str]) -> None:
    if value not in known:
        raise UsageError(f"encoder: {name} is {value!r}, but has to be one of {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Pruning:
    """Static pruning of a vector: its `top_k` largest weights, of those above `threshold`, are kept.

    Lassance et al., "A Static Pruning Study on Sparse Neural Retrievers" (SIGIR 2023, arXiv:2304.12702).
    """

    top_k: int | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their ranges."""
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"encoder: top_k is {self.top_k}, but has to be 1 or more")
        if not 0 <= self.threshold < float("inf"):
            raise UsageError(f"encoder: threshold is {self.threshold}, but has to be 0 or more")


@dataclass(frozen=True, slots=True)
class WideConfig:
    """Configuration of a very wide space in which the largest win (head `wta`).

    layers: those of the transformer that have a bucket each, counted from 1; 0 is the embeddings. width: dimensions of
    a bucket. active: those of a text that win in each. binary: whether a winner weighs 1, or its score.
    """

    layers: tuple[int, ...] = (6,)
    width: int = 20_480
    active: int = 80
    binary: bool = True

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their ranges."""
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers or min(self.layers) < 0 or len(set(self.layers)) < len(self.layers):
            raise UsageError(f"encoder: wide layers are {self.layers}, but have to be different numbers of layers")
        if not 0 < self.active <= self.width:
            raise UsageError(
                f"encoder: {self.active} of {self.width} wide dimensions are active; at least 1 has to be, at most all"
            )


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Configuration of one side's model, from texts to sparse vectors.

    head: name of the module that scores terms from hidden states: `mlm` (all terms at each position), `causal` (the
    same of a decoder), `mlp` (each position's own token), `gated` (mlm times a learned gate), `phrases` (mlm, and
    phrases by given embeddings), `ngrams` (the text's tokens and bigrams by attention) or `wta` (a very wide space).
    activation, pooling: names of the functions that make the scores of all positions one weight a term.
    expansion: `all` terms may get a weight, or only those of the `input`.
    max_length: number of tokens that are read, special ones included (default: all that the model takes).
    prompt: text put before each text. echo: whether the text is given twice and only the second time counts.
    mlp_layers: number of layers of an `mlp` head. repeats: factor by which repeated tokens weigh more, see
    `lsr.encoders.sparse.repeated_tokens` (default: 0); training ignores it. candidates: the phrases that a head
    `phrases` may give a weight, those that stand in the `text` or `all`. wide: of a head `wta` (default: none).
    """

    head: str = "mlm"
    activation: str = "log1p(relu)"
    pooling: str = "max"
    expansion: str = "all"
    max_length: int | None = None
    prompt: str = ""
    echo: bool = False
    mlp_layers: int = 1
    pruning: Pruning = field(default_factory=Pruning)
    repeats: float = 0.0
    candidates: str = "text"
    wide: WideConfig | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a part that doesn't exist."""
        if (self.wide is not None) != (self.head == "wta"):
            raise UsageError(f"encoder: 'wide' describes the space of a head 'wta', but head is {self.head!r}")
        _one_of("candidates", self.candidates, CANDIDATES)
        _one_of("head", self.head, HEADS)
        _one_of("activation", self.activation, ACTIVATION_NAMES)
        _one_of("pooling", self.pooling, POOLINGS)
        _one_of("expansion", self.expansion, EXPANSIONS)
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"encoder: max_length is {self.max_length}, but has to be 1 or more")
        if self.mlp_layers < 1:
            raise UsageError(f"encoder: mlp_layers is {self.mlp_layers}, but has to be 1 or more")
        if self.echo and self.head != "causal":
            raise UsageError(f"encoder: echo is for a decoder's head 'causal', but head is {self.head!r}")
        if not 0 <= self.repeats < float("inf"):
            raise UsageError(f"encoder: repeats is {self.repeats}, but has to be 0 or more")

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON values, without rare fields that have their default."""
        values = asdict(self)
        if not self.repeats:
            del values["repeats"]
        if self.candidates == "text":
            del values["candidates"]
        if self.wide is None:
            del values["wide"]
        else:
            values["wide"]["layers"] = list(self.wide.layers)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TowerConfig:
        """Read what `to_json` wrote. Raises EncoderError for what this program doesn't know."""
        known = dict(values)
        if "pruning" in known:
            known["pruning"] = _from_json(Pruning, known["pruning"])
        if known.get("wide") is not None:
            known["wide"] = _from_json(WideConfig, known["wide"])
        return _from_json(cls, known)


@dataclass(frozen=True, slots=True)
class DenseConfig:
    """Configuration of a dense head beside the sparse one.

    pooling: `mean` of all positions, the first (`cls`), the `last`, or the `max`. normalise: whether to unit length.
    dimension: output size of a linear layer behind the pooling (default: no layer).
    shared_layers: number of lower layers that both vectors share, where the dense one has a separate branch above
    them (`lsr.encoders.network.dense_branch`; default: all are shared).
    """

    pooling: str = "mean"
    normalise: bool = True
    dimension: int | None = None
    shared_layers: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a part that doesn't exist."""
        _one_of("dense pooling", self.pooling, DENSE_POOLINGS)
        if self.dimension is not None and self.dimension < 1:
            raise UsageError(f"encoder: dense dimension is {self.dimension}, but has to be 1 or more")
        if self.shared_layers is not None and self.shared_layers < 0:
            raise UsageError(f"encoder: shared_layers is {self.shared_layers}, but has to be 0 or more")


@dataclass(frozen=True, slots=True)
class WordsConfig:
    """Configuration of exact words, terms beside a model's (`lsr.encoders.lexical.exact_words`).

    weight: weight of a query's word, before its rarity. beside_dense: the same in a hybrid search, where a dense vector
    says what is meant, too (default: `weight`). k1, b, usual_length: parameters of `document_weights`.
    stemmer, stop_words, version: fields of `lsr.encoders.lexical.analyser.AnalyserSettings`.
    """

    weight: float = 5.0
    k1: float = 1.2
    b: float = 0.75
    usual_length: int = 100
    stemmer: str = "english"
    stop_words: str | tuple[str, ...] = "english"
    beside_dense: float | None = None
    version: int = WORDS_ALONE

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their ranges."""
        most = {"weight": float("inf"), "k1": float("inf"), "b": 1, "beside_dense": float("inf")}
        for name, largest in most.items():
            value = getattr(self, name)
            if value is not None and (not 0 <= value <= largest or value == float("inf")):
                raise UsageError(f"encoder: words' {name} is {value}, but has to be 0 or more")
        if self.weight == 0:
            raise UsageError("encoder: words' weight is 0: leave the words out instead")
        if self.usual_length < 1:
            raise UsageError(f"encoder: words' usual_length is {self.usual_length}, but has to be 1 or more")
        if not isinstance(self.stop_words, str):
            object.__setattr__(self, "stop_words", tuple(self.stop_words))
        AnalyserSettings(self.stemmer, self.stop_words, self.version)

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON, without those that are None, and without a version of 1."""
        analysis = AnalyserSettings(self.stemmer, self.stop_words, self.version).to_json()
        values = {name: value for name, value in asdict(self).items() if value is not None and name != "version"}
        return values | analysis


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Configuration of a whole encoder: its family's name, its documents' side, its queries' side.

    query_side: `same` (the documents' model), `own` (another model), `table` (a weight a token) or `binary`
    (each token of the query weighs 1).
    query: the queries' parts (default: the documents'). A table reads only prompt and max_length.
    dense: second head of a joint encoder, which gives a dense vector of the same pass (default: none). Beside a table,
    queries get their dense vector of the documents' model.
    query_repeats: count of a token that a query has n times in a table: `once`, or 1 + ln n (`log`).
    cpu_bfloat16: whether the models compute in bfloat16 on a CPU that has instructions for it, unless `dtype` says
    otherwise. The maker of a model decides, having measured that it changes next to nothing.
    words: exact words beside the model's terms (default: none).
    rarity: exponent of a query term's rarity in the searched index, see `lsr.query.idf_weighting` (default: 0). That of
    exact words is 1.
    similarity: `dot`, or `cosine`: documents' vectors have unit length, and those of queries that a model encodes.
    """

    family: str
    document: TowerConfig = field(default_factory=TowerConfig)
    query_side: str = "same"
    query: TowerConfig | None = None
    dense: DenseConfig | None = None
    query_repeats: str = "once"
    cpu_bfloat16: bool = False
    words: WordsConfig | None = None
    rarity: float = 0.0
    similarity: str = DOT

    def __post_init__(self) -> None:
        """Raise UsageError for sides that don't fit together."""
        _one_of("similarity", self.similarity, (DOT, COSINE))
        if not 0 <= self.rarity < float("inf"):
            raise UsageError(f"encoder: rarity is {self.rarity}, but has to be 0 or more")
        _one_of("query_side", self.query_side, QUERY_SIDES)
        _one_of("query_repeats", self.query_repeats, REPEATS)
        if not isinstance(self.cpu_bfloat16, bool):
            raise UsageError(f"encoder: cpu_bfloat16 is {self.cpu_bfloat16!r}, but has to be true or false")
        if self.query_repeats != "once" and self.query_side not in ("table", "binary"):
            raise UsageError(f"encoder: query_repeats is for a table, but query_side is {self.query_side!r}")
        if self.document.head in ("phrases", "ngrams", "wta") and self.query_side in ("table", "binary"):
            raise UsageError(
                f"encoder: a head {self.document.head!r} weighs queries too, but query_side is {self.query_side!r}, "
                "which knows tokens alone: make it 'same'"
            )
        if self.query_side == "same" and self.query is not None and self.query.head != self.document.head:
            raise UsageError(
                f"encoder: queries share the documents' model, so their head can't be {self.query.head!r} "
                f"beside {self.document.head!r}: make query_side 'own'"
            )
        if self.dense is not None and self.query_side == "own":
            raise UsageError("encoder: a joint encoder has one model, but query_side is 'own'")

    @property
    def query_tower(self) -> TowerConfig:
        """The queries' parts."""
        return self.document if self.query is None else self.query

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON values, without rare fields that have their default."""
        values = asdict(self) | {
            "document": self.document.to_json(),
            "query": None if self.query is None else self.query.to_json(),
            "words": None if self.words is None else self.words.to_json(),
        }
        usual = {"query_repeats": "once", "cpu_bfloat16": False, "words": None, "rarity": 0.0, "similarity": DOT}
        for name, value in usual.items():
            if values[name] == value:
                del values[name]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Read what `to_json` wrote. Raises EncoderError for what this program doesn't know."""
        known = dict(values)
        for side in ("document", "query"):
            if known.get(side) is not None:
                known[side] = TowerConfig.from_json(known[side])
        if known.get("dense") is not None:
            known["dense"] = _from_json(DenseConfig, known["dense"])
        if known.get("words") is not None:
            known["words"] = _from_json(WordsConfig, known["words"])
        return _from_json(cls, known)


def _from_json(kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    unknown = set(values) - {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise EncoderError(f"encoder config: {', '.join(sorted(unknown))} unknown: made by a newer program?")
    try:
        return kind(**values)
    except TypeError as error:
        raise EncoderError(f"encoder config: {error}") from error
