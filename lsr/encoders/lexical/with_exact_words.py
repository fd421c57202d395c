"""An encoder with exact words beside its terms, which is an encoder again: documents, queries, and an index's queries.

Nothing here imports torch: a search starts through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, QueryEncoder, TermLookup
from lsr.encoders.config import WordsConfig
from lsr.encoders.dense.base import DenseVectors, JointEncoder
from lsr.encoders.lexical.exact_words import ExactWords, WordQueries, analyser_settings, is_word_term, side_by_side
from lsr.encoders.runtime import RUNTIME, Runtime
from lsr.errors import EncoderError
from lsr.io.fork_safe import cached_property
from lsr.types import Document, SparseBatch


class WithExactWords:
    """An encoder with exact words beside a model's terms, as `lsr.encoders.base.ExtendedEncoder` says.

    model: gives final weights. terms: of an index to be continued, words behind the model's terms; default, no words
    yet.
    """

    def __init__(self, model: Encoder, config: WordsConfig, *, terms: Sequence[str] = ()) -> None:
        self._model = model
        self._n_model_terms = len(model.terms)
        self._terms = [*model.terms, *terms[self._n_model_terms :]]
        self._words = ExactWords(config, self._terms, self._n_model_terms)

    @property
    def model(self) -> Any:
        """The encoder without words."""
        return self._model

    @property
    def terms(self) -> Sequence[str]:
        """The model's terms by id, and behind them the words so far."""
        return self._terms

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """The model's description with the words in its settings, as JSON values."""
        described = self._model.description
        words = {
            "config": self._words.config.to_json(),
            "analyser": analyser_settings(self._words.config).fingerprint(),
            "n_model_terms": self._n_model_terms,
        }
        return {**described, "settings": {**described["settings"], "words": words}}

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, None where it has none."""
        return getattr(self._model, "tokenizer", None)

    @property
    def phrase_matcher(self) -> Any:
        """The finder of the model's phrases, None where it has none."""
        return getattr(self._model, "phrase_matcher", None)

    @property
    def runtime(self) -> Runtime | None:
        """The model's runtime, None where it has only one."""
        runtime: Runtime | None = getattr(self._model, RUNTIME, None)
        return runtime

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that the model reads; None: all."""
        length: int | None = getattr(self._model, "text_length", None)
        return length

    def splitter(self, **options: Any) -> Any:
        """Return what cuts documents into passages, as the model does it."""
        model: Any = self._model
        return model.splitter(**options)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document: the model's, and the document's words; new words join the vocabulary."""
        return self.extend(self._model.encode_documents(documents), documents)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text: the model's, and the words that some document had."""
        return self._words.beside_queries(self._model.encode_queries(texts), texts)

    def extend(self, rows: SparseBatch, documents: Sequence[Document]) -> SparseBatch:
        """Return the model's rows of documents with the documents' words."""
        return self._words.beside(rows, documents)

    def term_id(self, term: str) -> int | None:
        """Return the id of a term; a word that is new is given one."""
        return self._words.term_id(term) if is_word_term(term) else self._model_ids.get(term)

    @cached_property
    def _model_ids(self) -> Mapping[str, int]:
        return {term: i for i, term in enumerate(self._model.terms)}

    def begin_again(self) -> WithExactWords:
        """Return the same encoder without the words that documents have added so far."""
        return type(self)(self._model, self._words.config)

    def save_query_side(self, folder: Path) -> None:
        """Write the model's query side: words need the index's own vocabulary alone."""
        self._model.save_query_side(folder)


class JointWithExactWords(WithExactWords):
    """A joint encoder with exact words: they stand beside its sparse vectors, its dense ones stay as they are."""

    _model: JointEncoder

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return self._model.dimension

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document."""
        sparse, dense = self._model.encode_documents_jointly(documents)
        return self.extend(sparse, documents), dense

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one dense row a document."""
        return self._model.encode_dense_documents(documents)

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one dense row a text."""
        return self._model.encode_dense_queries(texts)


def with_exact_words(model: Encoder, config: WordsConfig | None, *, terms: Sequence[str] = ()) -> Encoder:
    """Return an encoder with exact words beside its terms, or as it is where there is no config.

    terms: as of `WithExactWords`.
    """
    if config is None:
        return model
    kind = JointWithExactWords if isinstance(model, JointEncoder) else WithExactWords
    return kind(model, config, terms=terms)


class QueriesWithWords:
    """A model's queries over an index's vocabulary, with their words beside them."""

    def __init__(self, model: QueryEncoder, config: WordsConfig, lookup: TermLookup, vocab_size: int) -> None:
        self._model = model
        self._words = WordQueries(config, lookup)
        self._vocab_size = vocab_size

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, None where it has none."""
        return getattr(self._model, "tokenizer", None)

    @property
    def phrase_matcher(self) -> Any:
        """The finder of the model's phrases, None where it has none."""
        return getattr(self._model, "phrase_matcher", None)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; terms that the index doesn't hold are dropped."""
        return side_by_side(self._model.encode_queries(texts), self._words.encode(texts, self._vocab_size))


def words_of(description: Mapping[str, Any]) -> WordsConfig | None:
    """Return the words of an encoder's description, None where it has none. Raises EncoderError for unknown ones."""
    values = description.get("settings", {}).get("words")
    if values is None:
        return None
    try:
        if values["analyser"] != analyser_settings(config := WordsConfig(**values["config"])).fingerprint():
            raise EncoderError("words: the index was made with another word analyser: index the corpus again")
    except (KeyError, TypeError) as error:
        raise EncoderError(f"words: unknown settings ({error}): made by a newer program?") from error
    return config


def weigh_words_beside_dense(
    queries: SparseBatch, description: Mapping[str, Any], weight: float | None = None
) -> SparseBatch:
    """Return queries with their words weighed as in a hybrid search.

    description: of the encoder that made them. weight: of words (default: the encoder's beside dense vectors).
    """
    words = description.get("settings", {}).get("words")
    if words is None:
        return queries
    config = words["config"]
    wanted = config.get("beside_dense") if weight is None else weight
    if wanted in (None, config["weight"]):
        return queries
    weights = queries.weights.copy()
    weights[queries.term_ids >= words["n_model_terms"]] *= wanted / config["weight"]
    return SparseBatch(queries.indptr, queries.term_ids, weights, queries.vocab_size)
