"""BM25 as an encoder: words counted first, weighed once the whole corpus is known.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), in the form that
Lucene computes: see Kamphuis et al., "Which BM25 Do You Mean?" (ECIR 2020). Document lengths stay exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import CorpusStatistics, TermLookup
from lsr.encoders.lexical.analyser import WITH_IDENTIFIERS, Analyser, AnalyserSettings
from lsr.encoders.lexical.identifiers import is_beside_words, is_signed
from lsr.encoders.lexical.language import settings_for
from lsr.encoders.lexical.word_counts import WordIds, count_words
from lsr.encoders.registry import EncoderKind, QuerySide, WordTerms, register
from lsr.encoders.text.term_spans import AnalysedWords, TermFinder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document, SparseBatch

KIND = "bm25"
_UNSAID = "BM25: the index doesn't say how its words were made: index the corpus again"


def _batch(texts: Sequence[str], analyser: Analyser, word_ids: WordIds) -> Callable[[int], SparseBatch]:
    indptr, ids, counts = count_words(texts, analyser, word_ids)
    return lambda vocab_size: SparseBatch(indptr, ids.astype(np.int32), counts.astype(np.float32), vocab_size)


class BM25Weighting:
    """The document side of BM25.

    weight = idf · tf / (tf + k1 · (1 − b + b · dl / avgdl)), with idf = ln(1 + (N − df + ½) / (df + ½)).
    terms: term i having id i, where some of them make a text no longer (`is_beside_words`); default, all count.
    """

    def __init__(self, *, k1: float = 0.9, b: float = 0.4, terms: Sequence[str] | None = None) -> None:
        if not (math.isfinite(k1) and k1 >= 0):
            raise UsageError(f"BM25: k1 is {k1}, but has to be 0 or more")
        if not 0 <= b <= 1:
            raise UsageError(f"BM25: b is {b}, but has to lie in 0…1")
        self.k1 = k1
        self.b = b
        self._terms = terms
        self._is_word = np.empty(0, bool)

    def lengths(self, term_ids: npt.NDArray[Any], counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return what each count adds to the length of its document: itself, or 0 for a term beside the words."""
        if self._terms is None:
            return counts.astype(np.float64)
        if (known := len(self._is_word)) < len(self._terms):
            new = [not is_beside_words(term) for term in self._terms[known:]]
            self._is_word = np.concatenate([self._is_word, np.array(new, bool)])
        return np.where(self._is_word[term_ids], counts, 0).astype(np.float64)

    def weigh(self, counts: SparseBatch, statistics: CorpusStatistics) -> SparseBatch:
        """Turn rows of term counts into rows of BM25 weights.

        counts: a row's weights are the numbers of times that each term stands in the document.
        statistics: `df` int64 (vocab_size), of the corpus that the rows belong to.
        """
        df = statistics.df
        if len(df) < counts.vocab_size:
            raise EncoderError(
                f"BM25: document frequencies of {len(df)} terms don't cover a vocabulary of {counts.vocab_size}"
            )
        if counts.nnz == 0:
            return SparseBatch(counts.indptr, counts.term_ids, counts.weights, len(df))
        tf = counts.weights.astype(np.float64)
        length = self.lengths(counts.term_ids, counts.weights)
        ends = np.concatenate(([0.0], np.cumsum(length)))  # exact: integers far below 2^53
        lengths = np.diff(ends[counts.indptr])
        norms = self.k1 * (1 - self.b + self.b * lengths / (statistics.mean_length or 1.0))
        seen = df[counts.term_ids].astype(np.float64)
        idf = np.log1p((statistics.n_docs - seen + 0.5) / (seen + 0.5))
        weights = idf * tf / (tf + np.repeat(norms, np.diff(counts.indptr)))
        return SparseBatch(counts.indptr, counts.term_ids, weights.astype(np.float32), len(df))


class BM25QueryEncoder:
    """Query texts as term counts over an index's vocabulary; words that the index doesn't hold are dropped."""

    def __init__(self, settings: AnalyserSettings, lookup: TermLookup, vocab_size: int) -> None:
        self._analyser = Analyser(settings)
        self._lookup = lookup
        self._word_ids = WordIds(self._analyser, self._term_id)
        self._signed: set[int] = set()
        self._vocab_size = vocab_size

    def _term_id(self, term: str) -> int | None:
        found = self._lookup(term)
        if found is not None and is_signed(term):
            self._signed.add(found)
        return found

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text, a word weighing 1 for each time it stands there; identifiers by `signed_weight`."""
        counts = _batch(texts, self._analyser, self._word_ids)(self._vocab_size)
        if self._signed and not self._signed.isdisjoint(counts.term_ids.tolist()):
            signed = np.isin(counts.term_ids, list(self._signed))
            for row in np.unique(np.searchsorted(counts.indptr, np.flatnonzero(signed), side="right") - 1).tolist():
                span = slice(counts.indptr[row], counts.indptr[row + 1])
                counts.weights[span][signed[span]] *= self._analyser.signed_weight(texts[row])
        return counts


class BM25Encoder:
    """Counts words over a vocabulary that grows with the documents; `corpus_weighting` makes the counts weights.

    terms: the vocabulary of an index to be continued, term i having id i.
    """

    def __init__(
        self,
        settings: AnalyserSettings | None = None,
        *,
        k1: float = 0.9,
        b: float = 0.4,
        terms: Sequence[str] = (),
    ) -> None:
        self._analyser = Analyser(settings)
        self._terms = list(terms)
        beside = self._analyser.settings.version >= WITH_IDENTIFIERS
        self._weighting = BM25Weighting(k1=k1, b=b, terms=self._terms if beside else None)
        self._ids = {term: i for i, term in enumerate(self._terms)}
        if len(self._ids) != len(self._terms):
            raise EncoderError(f"BM25: the vocabulary of {len(self._terms)} terms holds a term twice")
        self._word_ids = WordIds(self._analyser, self._grow)

    def _grow(self, term: str) -> int:
        known = self._ids.setdefault(term, len(self._terms))
        if known == len(self._terms):
            self._terms.append(term)
        return known

    @property
    def terms(self) -> Sequence[str]:
        """The vocabulary so far, term i having id i."""
        return self._terms

    @property
    def corpus_weighting(self) -> BM25Weighting:
        """The step from counts to weights."""
        return self._weighting

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        settings = self._analyser.settings
        return {
            "kind": KIND,
            "name": KIND,
            "revision": settings.fingerprint(),
            "query_side": "words",
            "needs_corpus_statistics": True,
            "settings": {"k1": self._weighting.k1, "b": self._weighting.b, "analyser": settings.to_json()},
        }

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row of term counts a document, title and text together; new terms join the vocabulary."""
        texts = [document.full_text for document in documents]
        return _batch(texts, self._analyser, self._word_ids)(len(self._terms))

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text, a term weighing 1 for each time it stands there; unknown words are dropped."""
        return BM25QueryEncoder(self._analyser.settings, self._ids.get, len(self._terms)).encode_queries(texts)

    def save_query_side(self, folder: Path) -> None:
        """Write nothing: the description and the index's own vocabulary are enough."""


def _load(
    name: str,
    *,
    language: str | None = None,
    stemmer: str | None = None,
    stop_words: str | Iterable[str] | None = None,
    **options: Any,
) -> BM25Encoder:
    """Make an encoder. language, stemmer, stop_words: see `settings_for`.

    options: `k1`, `b`, `terms` of an index to be continued.
    """
    del name
    return BM25Encoder(settings_for(language, stemmer=stemmer, stop_words=stop_words), **options)


def _open_documents(description: Mapping[str, Any], terms: Sequence[str], **placement: Any) -> BM25Encoder:
    """Open the encoder of an index. placement: of models, which there are none of here."""
    del placement
    analyser = _analyser_of(description)
    try:
        return BM25Encoder(analyser, k1=description["settings"]["k1"], b=description["settings"]["b"], terms=terms)
    except (KeyError, TypeError) as error:
        raise EncoderError(_UNSAID) from error


def _open_queries(description: Mapping[str, Any], side: QuerySide) -> BM25QueryEncoder:
    """Open the query side that `BM25Encoder.description` describes.

    Raises EncoderError where the description is of an analyser that gives other terms than this one.
    """
    settings = _analyser_of(description)
    if description.get("revision") != settings.fingerprint():
        raise EncoderError("BM25: the index was made with another word analyser: index the corpus again")
    return BM25QueryEncoder(settings, side.lookup, side.vocab_size)


def _find_terms(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    del encoder
    return AnalysedWords(_analyser_of(description))


def _find_words(description: Mapping[str, Any]) -> WordTerms:
    return WordTerms(_analyser_of(description))


def _analyser_of(description: Mapping[str, Any]) -> AnalyserSettings:
    try:
        return AnalyserSettings.from_json(description["settings"]["analyser"])
    except (KeyError, TypeError) as error:
        raise EncoderError(_UNSAID) from error


register(
    EncoderKind(
        KIND,
        usage=KIND,
        load=_load,
        open_documents=_open_documents,
        open_queries=_open_queries,
        find_terms=_find_terms,
        find_words=_find_words,
    )
)
