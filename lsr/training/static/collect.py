"""Collection of rows of words from a model: mean weights of terms at the tokens of a word.

A text's vector is the maximum over its tokens, so what a model reads into a word can be stored once and looked up:
context-free expansion, as in Zuccon et al., "Integrating and Evaluating Neural Word Embeddings in Information
Retrieval" (ADCS 2015), with a model's own weights. Reducing a transformer's token states to one each is that of
Bommasani et al., "Interpreting Pretrained Contextualized Representations via Reductions to Static Embeddings" (ACL
2020).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.encoder import CompiledEncoder
from lsr.encoders.compiled.products import Scored
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of
from lsr.encoders.threads import encoding_threads
from lsr.io.atomic import atomic_file
from lsr.kernels.encode.functions import log1p_of
from lsr.training.cached_folder import digest_of

log = logging.getLogger(__name__)

Word = tuple[int, ...]
"""Token ids of a word."""

_AT_ONCE = 4096
_GROUP_TOKENS = 380
_GROUPS_OF_PART = 256
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Collection:
    """Settings of a collection.

    n_words: most common words that get a row. contexts: texts that a word is read in, at most. n_texts: texts that the
    model reads. least_new: words that a text has to bring to be read. characters, max_length: of a text that is read.
    """

    n_words: int = 100_000
    contexts: int = 8
    n_texts: int = 7_958
    least_new: int = 5
    characters: int = 900
    max_length: int = 128


@dataclass(frozen=True, slots=True)
class CollectedRows:
    """Sums of weights by word and term. words: by number. counts: contexts of each, int64.

    word, term: int64, of each sum, ascending by both. sums: float64.
    """

    words: Sequence[Word]
    counts: npt.NDArray[np.int64]
    word: npt.NDArray[np.int64]
    term: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Text:
    ids: list[int]
    spans: list[tuple[int, int]]

    def word(self, span: tuple[int, int]) -> Word:
        return tuple(self.ids[span[0] : span[1]])


def collect(encoder: CompiledEncoder, texts: Sequence[str], settings: Collection, *, work: Path) -> CollectedRows:
    """Return the rows of the most common words of texts, which are read in their order.

    work: folder that keeps what was read, part by part; after an interruption the same call resumes.
    """
    read = _tokenised(encoder, texts, settings)
    frequencies: Counter[Word] = Counter()
    for text in read:
        frequencies.update({text.word(span) for span in text.spans})
    words = [word for word, n in frequencies.most_common(settings.n_words) if n > 1]
    number = {word: i for i, word in enumerate(words)}
    decisive = asdict(replace(settings, n_texts=0))  # more texts are further parts
    digest = digest_of({**decisive, "revision": encoder.revision, "texts": texts_digest(texts)})
    work.mkdir(parents=True, exist_ok=True)
    parts: list[_Part] = []
    groups = _groups(read, number, settings)
    with ThreadPoolExecutor(encoding_threads()) as pool:
        while some := list(islice(groups, _GROUPS_OF_PART)):
            path = work / f"{digest}-{len(parts):04}-{len(some)}.npz"
            if not path.is_file():
                scores = [one for group in pool.map(lambda group: _read(encoder, group), some) for one in group]
                _save(path, scores, encoder.document.weights.vocab_size)
                log.info("read %d parts of the texts", len(parts) + 1)
            parts.append(_load(path))
    return _joined(words, parts, encoder.document.weights.vocab_size)


def texts_digest(texts: Sequence[str]) -> str:
    """Return a digest of texts and their order."""
    digest = blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _tokenised(encoder: CompiledEncoder, texts: Sequence[str], settings: Collection) -> list[_Text]:
    tokenizer = TextTokenizer(copy_of(encoder.document.tokenizer), max_length=settings.max_length)
    found = []
    for first in range(0, len(texts), _AT_ONCE):
        some = [text[: settings.characters] for text in texts[first : first + _AT_ONCE]]
        found += [_Text(encoding.ids, _spans(encoding.word_ids)) for encoding in tokenizer.encode(some)]
    return found


def _spans(word_ids: Sequence[int | None]) -> list[tuple[int, int]]:
    """Return the first and end of each word's tokens between the special ones."""
    spans, first = [], 1
    for i in range(2, len(word_ids)):
        if word_ids[i] != word_ids[first]:
            spans.append((first, i))
            first = i
    return spans


_Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]
_Chosen = list[tuple[_Text, list[tuple[tuple[int, int], int]]]]


def _groups(read: Sequence[_Text], number: dict[Word, int], settings: Collection) -> Iterator[_Chosen]:
    """Yield groups of texts with the spans of words that still need contexts, and the words' numbers."""
    needed = np.full(len(number), settings.contexts)
    group: _Chosen = []
    n_tokens = n_texts = 0
    for text in read:
        seen: dict[int, tuple[int, int]] = {}
        for span in text.spans:
            word = number.get(text.word(span), -1)
            if word >= 0 and needed[word] > 0:
                seen.setdefault(word, span)
        if len(seen) < settings.least_new:
            continue
        needed[list(seen)] -= 1
        group.append((text, [(span, word) for word, span in seen.items()]))
        n_tokens, n_texts = n_tokens + len(text.ids), n_texts + 1
        if n_tokens > _GROUP_TOKENS:
            yield group
            group, n_tokens = [], 0
            if n_texts >= settings.n_texts:
                return
    if group:
        yield group


def _read(encoder: CompiledEncoder, group: _Chosen) -> list[tuple[int, Scored]]:
    spans = [[span for span, _ in chosen] for _, chosen in group]
    scores = encoder.document.spans([text.ids for text, _ in group], spans)
    words = [word for _, chosen in group for _, word in chosen]
    return list(zip(words, scores, strict=True))


def _save(path: Path, found: Sequence[tuple[int, Scored]], vocab_size: int) -> None:
    """Write the sums of weights by word and term, and each word's contexts."""
    keys, values = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for word, scores in found:
        weights = np.empty_like(scores.logits)
        log1p_of(scores.logits, weights)
        kept = weights > _LEAST_WEIGHT
        keys.append(word * vocab_size + scores.term_ids[kept].astype(np.int64))
        values.append(weights[kept])
    distinct, places = np.unique(np.concatenate(keys), return_inverse=True)
    sums = np.bincount(places, np.concatenate(values), minlength=len(distinct))
    with atomic_file(path) as file:
        np.savez(file, keys=distinct, sums=sums, words=np.array([word for word, _ in found], np.int64))


def _load(path: Path) -> _Part:
    with np.load(path, allow_pickle=False) as stored:
        return stored["keys"], stored["sums"], stored["words"]


def _joined(words: Sequence[Word], parts: Sequence[_Part], vocab_size: int) -> CollectedRows:
    keys = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    distinct, places = np.unique(keys, return_inverse=True)
    values = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    sums = np.bincount(places, values, minlength=len(distinct)).astype(np.float64)
    contexts = np.concatenate([np.zeros(0, np.int64), *(part[2] for part in parts)])
    counts = np.bincount(contexts, minlength=len(words)).astype(np.int64)
    return CollectedRows(words, counts, distinct // vocab_size, distinct % vocab_size, sums)
