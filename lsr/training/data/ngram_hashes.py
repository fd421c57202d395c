"""Hashes of word n-grams, a Bloom filter, and near-duplicate detection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

MAX_CACHED_WORDS = 1_000_000
"""Words whose hashes are cached; a full cache is emptied, so that memory stays bounded."""

_WORD = re.compile(r"[^\W_]+")
_FACTOR = 0x9E3779B97F4A7C15
_N_BANDS, _BAND_ROWS, _SHINGLE = 5, 6, 3
_FILTER_BITS, _FILTER_HASHES = 1 << 28, 4


class WordHashes(dict[str, int]):
    """Cache of word → hash of 64 bits, the same in every process."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MAX_CACHED_WORDS:
            self.clear()
        self[word] = value = int.from_bytes(
            blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
        )
        return value

    def of(self, text: str) -> Hashes:
        """Return the hashes of a text's words, lower-cased, punctuation left out, uint64 (n_words)."""
        return np.fromiter(map(self.__getitem__, _WORD.findall(text.lower())), np.uint64)


def ngram_hashes(words: Hashes, length: int) -> Hashes:
    """Return a hash of each n-gram of `length` words, uint64 (n_words - length + 1); none of a shorter text.

    A polynomial of the words' hashes, modulo 2^64.
    """
    n = len(words) - length + 1
    if n < 1:
        return np.empty(0, np.uint64)
    found = np.zeros(n, np.uint64)
    for i in range(length):
        found = found * np.uint64(_FACTOR) + words[i : i + n]
    return _mixed(found)


def _mixed(values: Hashes) -> Hashes:
    """Mix the bits, since a polynomial's low ones depend on the words' low ones alone (Steele's splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


class BloomFilter:
    """Bloom filter of hashes, in 32 MB.

    Of ten million hashes that it hasn't seen it takes some 4,000 for seen.
    """

    def __init__(self) -> None:
        self._bits = np.zeros(_FILTER_BITS // 8, np.uint8)

    def add(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Add hashes; return which were seen before, bool (n)."""
        steps = np.arange(1, _FILTER_HASHES + 1, dtype=np.uint64)
        places = _mixed(hashes[:, None] + steps * np.uint64(_FACTOR)) % np.uint64(_FILTER_BITS)
        at, bit = (places >> np.uint64(3)).astype(np.int64), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)
        seen: npt.NDArray[np.bool_] = ((self._bits[at] & bit) != 0).all(axis=1)
        np.bitwise_or.at(self._bits, at.ravel(), bit.ravel())
        return seen


class NearDuplicates:
    """Detector of near-duplicate texts: min-hashes of their word trigrams, in bands.

    Of pairs that share 80 % of their trigrams nine tenths are found, of those that share half of them one in thirteen.
    Broder, "On the resemblance and containment of documents" (1997); bands: Leskovec, Rajaraman and Ullman, "Mining of
    Massive Datasets", section 3.4.
    """

    def __init__(self, words: WordHashes) -> None:
        self._words = words
        self._seen = BloomFilter()
        n = _N_BANDS * _BAND_ROWS
        # Random odd factors, the same in every process.
        self._factors = _mixed(np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_FACTOR)) | np.uint64(1)

    def add(self, text: str) -> bool:
        """Add a text; return whether a near-duplicate was added before."""
        words = self._words.of(text)
        found = ngram_hashes(words, min(_SHINGLE, max(len(words), 1)))
        if len(found) == 0:
            return False
        smallest = _mixed(found[:, None] * self._factors).min(axis=0)
        bands = band_hashes(smallest.reshape(_N_BANDS, _BAND_ROWS))
        return bool(self._seen.add(bands).any())


def band_hashes(bands: Hashes) -> Hashes:
    """Return one hash a row, of its values and its number, uint64 (n_rows)."""
    found = np.arange(len(bands), dtype=np.uint64)
    for column in bands.T:
        found = found * np.uint64(_FACTOR) + column
    return _mixed(found)


def text_hash(texts: Sequence[str], words: WordHashes) -> Hashes:
    """Return one hash a text, case and punctuation aside, uint64 (n_texts)."""
    of_words = [words.of(text) for text in texts]
    return np.array([ngram_hashes(found, len(found))[0] if len(found) else 0 for found in of_words], np.uint64)
