"""Settings of the encoder to train: the table `[encoder]` of a config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.settings import above, at_least, one_of

TABLES = ("ones", "idf")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Settings of the encoder to train.

    start: a checkpoint's folder or hub name, or `package:NAME` for a Python package that holds a folder `model`.
    family: of `lsr.encoders.families`; `saved`: `start` is a saved encoder, which keeps its parts, heads and table.
    document, query: parts that differ from the family, as `lsr_encoder.json` has them.
    query_start: where queries have their own model, the checkpoint it starts from (default: `start`).
    fit_head: settings of `lsr.training.model.fit_mlm_head`, which makes the head that `start` lacks.
    freeze_layers: number of lowest layers that aren't trained, nor the embeddings then, also not in the head.
    freeze_embeddings: the embeddings alone aren't trained. query_table: initial weights of an inference-free query
    side: `ones`, or `idf` over the documents of the data (of `idf_corpus`, if given), at most `idf_max`.
    learn_query_table: whether they are trained. query_repeats: weighting of repeated query tokens, `once` or `log`
    (`EncoderConfig`). words, rarity: as `EncoderConfig` has them; a `saved` encoder may be given them too, as may
    `document` the pruning. dropout: replaces the model's probability. phrases: settings of
    `lsr.training.vocabulary.phrases.PhraseSettings`, the terms of a head `phrases`.
    """

    start: str
    family: str = "splade"
    document: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    dense: dict[str, Any] | None = None
    query_start: str | None = None
    fit_head: dict[str, Any] | None = None
    freeze_layers: int = 0
    freeze_embeddings: bool = False
    query_table: str = "ones"
    idf_corpus: tuple[str, ...] = ()
    idf_max: float = 10.0
    learn_query_table: bool = False
    query_repeats: str | None = None
    words: dict[str, Any] | None = None
    rarity: float | None = None
    dropout: float | None = None
    phrases: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        at_least(self.freeze_layers, 0, "encoder.freeze_layers")
        one_of(self.query_table, TABLES, "encoder.query_table")
        above(self.idf_max, 0, "encoder.idf_max")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"config: encoder.dropout is {self.dropout}, but has to be 0 or more and below 1")
        if self.idf_corpus and self.query_table != "idf":
            raise UsageError("config: encoder.idf_corpus is set, but encoder.query_table is not 'idf': set it, too")
