"""Exact words: terms beside those of a model.

A model's vocabulary has some ten thousand pieces of words. A name, a part number or the word of a trade is several of
them, and no piece of it says what the whole says; and whatever a model reads into a text, a query's own words should
count where they stand. So each word, as its stem, is a term too, called "=" and the stem. In a document it weighs what
BM25 makes of its frequency, with a usual length in place of the mean one, so that a vector depends on its text alone;
in a query all weigh the same, and `lsr.query.idf_weighting` makes of that what BM25's idf does. The words of a document
count to its end, where a model reads its first tokens only.

That a learned and a lexical score add up to more than either was shown by Gao et al., "Complement Lexical Retrieval
Model with Semantic Residual Embeddings" (ECIR 2021, arXiv:2004.13969); here one vector holds both, so that one exact
search is enough. This module and what it imports must not import torch: a search starts through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import TermLookup
from lsr.encoders.config import WordsConfig
from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.identifiers import is_signed
from lsr.encoders.lexical.word_counts import NOT_A_TERM, WordIds, count_words
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch

MARK = "="
"""Begins the name of a word's term: no token of a model is called so, but for "=" alone."""


def is_word_term(term: str) -> bool:
    """Return whether a term is a word's."""
    return len(term) > len(MARK) and term.startswith(MARK)


class ExactWords:
    """The words of documents and queries, over a vocabulary that grows with the documents.

    terms: the model's, and behind them the words of an index to be continued; new words are added to it.
    n_model_terms: number of the model's. Raises EncoderError for any other list.
    """

    def __init__(self, config: WordsConfig, terms: list[str], n_model_terms: int) -> None:
        self.config = config
        self._terms = terms
        self._ids = {term: n_model_terms + i for i, term in enumerate(terms[n_model_terms:])}
        if len(self._ids) != len(terms) - n_model_terms or not all(map(is_word_term, self._ids)):
            raise EncoderError("words: the vocabulary holds others behind the model's terms, or one twice")
        self._analyser = Analyser(analyser_settings(config))
        self._new = WordIds(self._analyser, lambda stem: self.term_id(MARK + stem))
        self._known = WordQueries(config, self._ids.get, analyser=self._analyser, grows=True)

    def term_id(self, term: str) -> int:
        """Return the id of a word's term, new or not."""
        known = self._ids.setdefault(term, len(self._terms))
        if known == len(self._terms):
            self._terms.append(term)
        return known

    def beside(self, rows: SparseBatch, documents: Sequence[Document]) -> SparseBatch:
        """Return a model's rows of documents with the documents' words."""
        indptr, ids, counts = count_words([document.full_text for document in documents], self._analyser, self._new)
        weights = document_weights(indptr, counts, self.config)
        return side_by_side(rows, SparseBatch(indptr, ids.astype(np.int32), weights, len(self._terms)))

    def beside_queries(self, rows: SparseBatch, texts: Sequence[str]) -> SparseBatch:
        """Return a model's rows of queries with those of the queries' words that some document had."""
        return side_by_side(rows, self._known.encode(texts, len(self._terms)))


class WordQueries:
    """The words of queries as terms of an index. lookup: finds their ids; words that it doesn't find are dropped.

    grows: whether `lookup` may find more of them the next time, so that nothing may be cached.
    """

    def __init__(
        self, config: WordsConfig, lookup: TermLookup, *, analyser: Analyser | None = None, grows: bool = False
    ) -> None:
        self._config = config
        self._analyser = analyser or Analyser(analyser_settings(config))
        self._lookup = lookup
        self._word_ids = WordIds(self._analyser, self._term_id)
        self._signed: set[int] = set()
        self._grows = grows

    def _term_id(self, term: str) -> int | None:
        found = self._lookup(MARK + term)
        if found is not None and is_signed(term):
            self._signed.add(found)
        return found

    def encode(self, texts: Sequence[str], vocab_size: int) -> SparseBatch:
        """Return one row a text: a word that stands there n times weighs (1 + ln n) · weight.

        An identifier weighs `Analyser.signed_weight` times as much.
        """
        if self._grows:
            self._word_ids.clear()
        # Queries are short: what numpy costs a call is more than what it saves.
        rows = [Counter(map(self._word_ids.__getitem__, self._analyser.words(text))) for text in texts]
        indptr, term_ids, counts, factors = [0], [], [], []
        for row, text in zip(rows, texts, strict=True):
            del row[NOT_A_TERM]
            of_signed = 1.0 if self._signed.isdisjoint(row) else self._analyser.signed_weight(text)
            for term_id in sorted(row):
                term_ids.append(term_id)
                counts.append(row[term_id])
                factors.append(of_signed if term_id in self._signed else 1.0)
            indptr.append(len(term_ids))
        weights = np.array(factors) * self._config.weight * (1 + np.log(np.array(counts, np.float64)))
        return SparseBatch(
            np.array(indptr, np.int64), np.array(term_ids, np.int32), weights.astype(np.float32), vocab_size
        )


def document_weights(
    indptr: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], config: WordsConfig
) -> npt.NDArray[np.float32]:
    """Return the weights of words in documents, as BM25 has them with a usual length.

    A word that a document has n times weighs (k1 + 1) · n / (n + k1 · (1 − b + b · length / usual_length)).

    indptr: int64, (n_documents + 1), boundaries of the documents' counts; a document's length is the sum of its counts.
    """
    ends = np.concatenate(([0], np.cumsum(counts)))
    norms = config.k1 * (1 - config.b + config.b * np.diff(ends[indptr]) / config.usual_length)
    weights = (config.k1 + 1) * counts / (counts + np.repeat(norms, np.diff(indptr)))
    return np.asarray(weights, np.float32)


def side_by_side(rows: SparseBatch, words: SparseBatch) -> SparseBatch:
    """Join two batches row by row. words: its term ids lie above those of `rows`."""
    if len(rows) == 1:
        order: Any = slice(None)
    else:
        which = np.concatenate([np.repeat(np.arange(len(batch)), np.diff(batch.indptr)) for batch in (rows, words)])
        order = np.argsort(which, kind="stable")
    return SparseBatch(
        rows.indptr + words.indptr,
        np.concatenate([rows.term_ids, words.term_ids])[order],
        np.concatenate([rows.weights, words.weights])[order],
        max(rows.vocab_size, words.vocab_size),
    )


def analyser_settings(config: WordsConfig) -> AnalyserSettings:
    """Return the settings by which words are made."""
    return AnalyserSettings(config.stemmer, config.stop_words, config.version)
