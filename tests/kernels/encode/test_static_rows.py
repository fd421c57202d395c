"""Static rows are looked up and pooled as plain Python does it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import property_cases

from lsr.kernels.encode import static_rows

VOCABULARY, CONTINUING = 140, 100
"""Tokens, and the first of those that continue a word."""


def _starts(lengths: list[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def _case(seed: int) -> tuple[list[tuple[int, ...]], list[dict[int, int]], list[list[int]]]:
    """Return distinct words, a row for each, and texts of words known and unknown, some of them empty."""
    rng = np.random.default_rng(seed)

    def word() -> tuple[int, ...]:
        more = rng.integers(CONTINUING, VOCABULARY, rng.integers(0, 4)).tolist()
        return (int(rng.integers(0, CONTINUING)), *more)

    words = list(dict.fromkeys([word() for _ in range(rng.integers(1, 60))] + [(VOCABULARY - 1,)]))
    rows = []
    for _ in words:
        terms = rng.choice(VOCABULARY, rng.integers(0, 9), replace=False).tolist()
        rows.append({term: int(rng.integers(1, 256)) for term in sorted(terms)})
    texts = []
    for _ in range(rng.integers(1, 5)):
        chosen = [words[rng.integers(len(words))] if rng.random() < 0.7 else word() for _ in range(rng.integers(0, 12))]
        texts.append([token for one in chosen for token in one])
    if texts[0] and rng.random() < 0.3:
        texts[0].insert(0, VOCABULARY - 1)  # a text may begin within a word
    return words, rows, texts


def _oracle(words, rows, text: list[int]) -> tuple[list[int], dict[int, int]]:
    number = {word: i for i, word in enumerate(words)}
    parts: list[list[int]] = []
    for token in text:
        if parts and token >= CONTINUING:
            parts[-1].append(token)
        else:
            parts.append([token])
    found: list[int] = []
    for part in parts:
        known = [tuple(part)] if tuple(part) in number else [(token,) for token in part]
        found += [number[one] for one in known if one in number]
    found = list(dict.fromkeys(found))
    pooled: dict[int, int] = {}
    for word in found:
        for term, weight in rows[word].items():
            pooled[term] = max(pooled.get(term, 0), weight)
    return found, dict(sorted(pooled.items()))


@property_cases(8)
@given(seed=st.integers(0, 2**16))
def test_words_and_their_rows(seed: int) -> None:
    words, rows, texts = _case(seed)
    indptr, tokens = _starts([len(word) for word in words]), np.array([t for word in words for t in word], np.int32)
    slots = np.full(1 << int(2 * len(words)).bit_length(), static_rows.NO_WORD, np.int32)
    static_rows.fill_slots(indptr, tokens, slots)
    single = np.full(VOCABULARY, static_rows.NO_WORD, np.int32)
    for i, word in enumerate(words):
        if len(word) == 1:
            single[word[0]] = i
    known = static_rows.Words(indptr, tokens, slots, single, np.arange(VOCABULARY) >= CONTINUING)
    stored = static_rows.Rows(
        _starts([len(row) for row in rows]),
        np.array([term for row in rows for term in row], np.uint16),
        np.array([weight for row in rows for weight in row.values()], np.uint8),
    )
    for array in (*known, *stored):
        array.flags.writeable = False
    ids, starts = np.array([t for text in texts for t in text], np.int32), _starts([len(text) for text in texts])
    found, found_indptr = np.empty(len(ids), np.int32), np.zeros(len(texts) + 1, np.int64)
    static_rows.words_of_texts(ids, starts, known, np.full(len(words), -1, np.int32), found, found_indptr)
    n_most = sum(len(rows[word]) for word in found[: found_indptr[-1]])
    term_ids, weights = np.empty(n_most, np.int32), np.empty(n_most, np.uint8)
    out, largest = np.zeros(len(texts) + 1, np.int64), np.zeros(VOCABULARY, np.uint8)
    n = static_rows.pool_rows(found, found_indptr, stored, largest, term_ids, weights, out)
    assert n == out[-1] and not largest.any()
    for i, text in enumerate(texts):
        expected, pooled = _oracle(words, rows, text)
        assert found[found_indptr[i] : found_indptr[i + 1]].tolist() == expected
        part = slice(out[i], out[i + 1])
        assert dict(zip(term_ids[part].tolist(), weights[part].tolist(), strict=True)) == pooled
        assert np.all(np.diff(term_ids[part]) > 0)


def test_words_whose_hashes_share_a_slot_are_told_apart() -> None:
    words = [(i, 100 + j) for i in range(20) for j in range(20)]
    indptr, tokens = _starts([2] * len(words)), np.array(words, np.int32).reshape(-1)
    slots = np.full(512, static_rows.NO_WORD, np.int32)  # 400 of 512: many collide
    static_rows.fill_slots(indptr, tokens, slots)
    single = np.full(VOCABULARY, static_rows.NO_WORD, np.int32)
    known = static_rows.Words(indptr, tokens, slots, single, np.arange(VOCABULARY) >= CONTINUING)
    found = [static_rows.find_word(np.array(word, np.int32), 0, 2, known) for word in words]
    assert found == list(range(len(words)))
    assert static_rows.find_word(np.array([50, 101], np.int32), 0, 2, known) == static_rows.NO_WORD
