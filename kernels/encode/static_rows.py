"""Vectors of texts from stored rows of their words: rows are looked up by a word's tokens, and pooled.

A maximum of integers doesn't depend on their order, so a text has the same bits on every processor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.jit.compile import kernel

NO_WORD = -1
"""Content of an empty slot, and the row of a token that has none."""

_PRIME, _START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)


class Words(NamedTuple):
    """Words by their tokens.

    indptr: int64 (n_words + 1). tokens: int32, of all words, one after the other. slots: int32, a power of two of them,
    more than words: the hash table of words of several tokens. single: int32 (vocab_size), the word that a token is
    by itself, or NO_WORD. continues: bool (vocab_size), True for tokens that continue a word.
    """

    indptr: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int32]
    slots: npt.NDArray[np.int32]
    single: npt.NDArray[np.int32]
    continues: npt.NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows of terms, one a word.

    indptr: int64 (n_words + 1). terms: uint16, weights: uint8, above 0; of all rows, one after the other.
    """

    indptr: npt.NDArray[np.int64]
    terms: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.uint8]


@kernel
def hash_of(tokens, first, end):
    """Return the hash of tokens[first:end], 64 bits (Fowler, Noll and Vo, FNV-1a, on tokens in place of bytes)."""
    value = _START
    for i in range(first, end):
        value = (value ^ np.uint64(tokens[i])) * _PRIME
    return value ^ (value >> np.uint64(29))


@kernel
def fill_slots(indptr, tokens, slots):
    """Put the words of several tokens into slots, which hold NO_WORD and are more than the words."""
    mask = np.uint64(slots.size - 1)
    for word in range(indptr.size - 1):
        if indptr[word + 1] - indptr[word] < 2:
            continue
        slot = hash_of(tokens, indptr[word], indptr[word + 1]) & mask
        while slots[slot] != NO_WORD:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word


@kernel
def find_word(ids, first, end, words):
    """Return the word that is ids[first:end], or NO_WORD."""
    if end - first == 1:
        return words.single[ids[first]]
    mask = np.uint64(words.slots.size - 1)
    slot = hash_of(ids, first, end) & mask
    while words.slots[slot] != NO_WORD:
        word = words.slots[slot]
        begin = words.indptr[word]
        if words.indptr[word + 1] - begin == end - first:
            same = True
            for i in range(end - first):
                same = same and words.tokens[begin + i] == ids[first + i]
            if same:
                return word
        slot = (slot + np.uint64(1)) & mask
    return NO_WORD


@kernel
def words_of_texts(ids, indptr, words, last_text, found, found_indptr):
    """Write the distinct words of each text, in their order; in place of an unknown word those of its tokens.

    ids: int32, tokens of all texts; indptr: int64 (n_texts + 1). last_text: int32 (n_words), all -1. found: int32, as
    many as ids; found_indptr: int64 (n_texts + 1).
    """
    n = 0
    found_indptr[0] = 0
    for text in range(indptr.size - 1):
        first, end = indptr[text], indptr[text + 1]
        while first < end:
            after = first + 1
            while after < end and words.continues[ids[after]]:
                after += 1
            word = find_word(ids, first, after, words)
            if word != NO_WORD:
                if last_text[word] != text:
                    last_text[word] = text
                    found[n] = word
                    n += 1
            else:
                for i in range(first, after):
                    word = words.single[ids[i]]
                    if word != NO_WORD and last_text[word] != text:
                        last_text[word] = text
                        found[n] = word
                        n += 1
            first = after
        found_indptr[text + 1] = n


@kernel
def pool_rows(found, found_indptr, rows, largest, term_ids, weights, indptr):
    """Write each text's terms, ascending, with their largest weight in the rows of its words; return their number.

    found, found_indptr: as `words_of_texts` wrote them. largest: uint8 (vocab_size), zeros before and after. term_ids:
    int32 and weights: uint8, as many as the rows of all found words hold; indptr: int64 (n_texts + 1).
    """
    n = 0
    marks = np.zeros((largest.size >> 6) + 1, np.uint64)
    indptr[0] = 0
    for text in range(found_indptr.size - 1):
        for at in range(found_indptr[text], found_indptr[text + 1]):
            word = found[at]
            for i in range(rows.indptr[word], rows.indptr[word + 1]):
                term = np.int64(rows.terms[i])
                if rows.weights[i] > largest[term]:
                    largest[term] = rows.weights[i]
                    marks[term >> 6] |= np.uint64(1) << np.uint64(term & 63)
        for block in range(marks.size):
            mark = marks[block]
            if mark == 0:
                continue
            marks[block] = 0
            for bit in range(64):
                if (mark >> np.uint64(bit)) & np.uint64(1):
                    term = (block << 6) + bit
                    term_ids[n] = term
                    weights[n] = largest[term]
                    largest[term] = 0
                    n += 1
        indptr[text + 1] = n
    return n
