"""Keyphrases of a text: n-grams whose words are rare in the corpus."""

from __future__ import annotations

import math
import re
from collections import Counter

from lsr.encoders.lexical.analyser import Analyser
from lsr.encoders.lexical.stop_words import ENGLISH_STOP_WORDS
from lsr.training.data.ngram_hashes import MAX_CACHED_WORDS
from lsr.training.teachers.bm25 import CorpusCounts

MAX_PHRASE = 4
"""Largest number of words of a phrase."""

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]|_")
_MORE_STOP_WORDS = frozenset(
    "about above after again all also although among any because been before being below between both can could did do "
    "does doing down during each few from further had has have having he her here hers him his how however i its "
    "itself just may me might more most much must my nor now off once only other our out over own same she should so "
    "some such than them themselves through thus too under until up upon us very was we were what when where which "
    "while who whom why within would you your one two".split()
)
STOP_WORDS = ENGLISH_STOP_WORDS | _MORE_STOP_WORDS


class PhraseFinder:
    """Extractor of keyphrases: n-grams that don't begin or end with a stop word, weighted by their words' idf.

    As keyphrases are found by tf·idf over candidates: Hasan and Ng, "Automatic Keyphrase Extraction: A Survey of the
    State of the Art" (ACL 2014). counts: of the corpus that the texts are from.
    """

    def __init__(self, counts: CorpusCounts) -> None:
        self._idf = _Idf(counts)

    def phrases(self, text: str, n: int) -> list[str]:
        """Return up to n phrases, highest weight first, none of them within another."""
        counted, weights = Counter[tuple[str, ...]](), dict[tuple[str, ...], float]()
        shown: dict[tuple[str, ...], str] = {}
        for run in _runs(text):
            idf = [self._idf[word] for word in run]
            lower = [word.lower() for word in run]
            for start in range(len(run)):
                if not idf[start]:
                    continue
                for end in range(start + 1, min(len(run), start + MAX_PHRASE) + 1):
                    if not idf[end - 1]:
                        continue
                    key = tuple(lower[start:end])
                    counted[key] += 1
                    shown.setdefault(key, " ".join(run[start:end]))
                    # The mean over one word more: longer phrases weigh more, each word less.
                    weights[key] = sum(idf[start:end]) / (end - start + 1)
        best = sorted(counted, key=lambda key: (-weights[key] * math.log2(1 + counted[key]), key))
        return [shown[key] for key in _apart(best, n)]


class _Idf(dict[str, float]):
    """Cache of word → idf, 0 for stop words, single letters and numbers."""

    def __init__(self, counts: CorpusCounts) -> None:
        super().__init__()
        self._analyser = Analyser()
        self._df = dict(zip(counts.terms, counts.df.tolist(), strict=True))
        self._n_docs = counts.n_docs

    def __missing__(self, word: str) -> float:
        if len(self) >= MAX_CACHED_WORDS:
            self.clear()
        self[word] = value = self._value(word)
        return value

    def _value(self, word: str) -> float:
        if len(word) < 2 or word.lower() in STOP_WORDS or not any(character.isalpha() for character in word):
            return 0.0
        parts = [self._df.get(term, 0) for term in self._analyser.terms(word)]
        return max((math.log1p((self._n_docs - df + 0.5) / (df + 0.5)) for df in parts), default=0.0)


def _runs(text: str) -> list[list[str]]:
    """Return the runs of words between punctuation marks."""
    found: list[list[str]] = [[]]
    for token in _TOKEN.findall(text):
        if token[0].isalnum():
            found[-1].append(token)
        elif found[-1]:
            found.append([])
    return found


def _apart(keys: list[tuple[str, ...]], n: int) -> list[tuple[str, ...]]:
    """Return the first n phrases that share no word with those before."""
    taken: list[tuple[str, ...]] = []
    used: set[str] = set()
    for key in keys:
        if len(taken) == n:
            break
        if used.isdisjoint(key):
            taken.append(key)
            used.update(key)
    return taken
