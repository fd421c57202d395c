"""Scores of a batch by the words beside a model's terms, so that the model learns what they lack.

A model that is searched together with words (`lsr.encoders.lexical.exact_words`) is trained together with them: the
student's score of a query and a document is the product of their vectors, words included. Words have nothing to
learn, so their score has no gradient. Gao et al., "Complement Lexical Retrieval Model with
Semantic Residual Embeddings" (ECIR 2021, arXiv:2004.13969), train a dense model beside BM25 like this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lsr.encoders.config import EncoderConfig, WordsConfig
from lsr.encoders.lexical.analyser import Analyser
from lsr.encoders.lexical.exact_words import analyser_settings, document_weights
from lsr.io.cache import cache_home
from lsr.query.idf_weighting import normalised_idf
from lsr.training.data.example import Examples
from lsr.training.data.read_examples import documents_of
from lsr.training.teachers.bm25 import CorpusCounts, cached_counts
from lsr.types import Document


class WordScores:
    """Scorer by words alone, as an index of a corpus has them, but for the rounding of its impacts.

    counts: of the corpus, by the analyser that `config` names; a word that it lacks has the highest rarity.
    """

    def __init__(self, config: WordsConfig, counts: CorpusCounts) -> None:
        self._config = config
        self._analyser = Analyser(analyser_settings(config))
        factors = normalised_idf(counts.df.astype(np.int64), counts.n_docs)
        self._rarity: Mapping[str, float] = dict(zip(counts.terms, factors.tolist(), strict=True))

    def __call__(self, queries: Sequence[str], documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        """Return scores, float32, (n_queries, n_documents)."""
        weights = [self._weights(document.full_text) for document in documents]
        scores = np.zeros((len(queries), len(documents)), np.float32)
        for row, query in enumerate(queries):
            for word, n in Counter(self._analyser.terms(query)).items():
                weight = self._config.weight * (1 + np.log(n)) * self._rarity.get(word, 1.0)
                for column, of_document in enumerate(weights):
                    if word in of_document:
                        scores[row, column] += weight * of_document[word]
        return scores

    def _weights(self, text: str) -> dict[str, float]:
        counts = Counter(self._analyser.terms(text))
        found = document_weights(np.array([0, len(counts)]), np.array(list(counts.values()), np.int64), self._config)
        return dict(zip(counts, found.tolist(), strict=True))


def word_scores(config: EncoderConfig, examples: Examples) -> WordScores | None:
    """Return the word scores of an encoder by the statistics of the examples' documents; None without words."""
    if config.words is None:
        return None
    documents: Callable[[], Iterable[Document]] = documents_of(examples)
    counts = cached_counts(documents, cache_home() / "teachers", analyser_settings(config.words))
    return WordScores(config.words, counts)
