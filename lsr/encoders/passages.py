"""Long documents as overlapping passages, each no longer than a model reads.

A document is then worth what its best passage is (MaxP): Dai and Callan, "Deeper Text Understanding for IR with
Contextual Neural Language Modeling" (SIGIR 2019, arXiv:1905.09217); for learned sparse retrieval Nguyen et al.,
"Adapting Learned Sparse Retrieval for Long Documents" (SIGIR 2023, arXiv:2305.18494).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.tokens import TextTokenizer, clean, copy_of
from lsr.errors import UsageError
from lsr.types import Document, FieldValue

PASSAGE_OF = "passage_of"
"""The field of a passage that holds its document's id; a document that fits as it is has no such field."""

BLOCK_CHARACTERS = 1 << 18
"""Characters that are tokenised at a time, so that a line of megabytes needs no more memory than this."""

MIN_ROOM = 16
"""Tokens that a passage holds at least, its title among them; a title gets half of them at most."""

_SPACE = re.compile(r"\s")


class PassageSplitter:
    """Cuts documents into passages that a model reads whole.

    tokenizer: the model's. max_length: tokens that the model reads, special ones, prompt and title among them.
    overlap: tokens that two passages share. prompt: what the model puts before each text.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, *, overlap: int = 32, prompt: str = "") -> None:
        self._tokenizer = TextTokenizer(copy_of(tokenizer), max_length=None, special_tokens=False)
        extra = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._room = max_length - extra - self._length(prompt)
        if self._room < MIN_ROOM:
            raise UsageError(
                f"max_length is {max_length}; beside {extra} special tokens and the prompt {prompt!r} "
                f"passages need {MIN_ROOM} more"
            )
        if not 0 <= overlap <= self._room // 2:
            raise UsageError(f"overlap is {overlap}, but has to lie in 0…{self._room // 2}")
        self._overlap = overlap
        self.settings: Mapping[str, int] = {"overlap": overlap, "max_length": max_length}

    def split(self, document: Document) -> list[Document]:
        """Return the document itself if it fits, else its passages, in order.

        A passage has the document's title (of one longer than half a passage its start) and its fields, beside
        them PASSAGE_OF and the characters of the text that it holds, `passage_start` and `passage_end`. It begins
        and ends between words where there are any.
        """
        starts, ends, words = self._tokens(document.text)
        if len(starts) == 0 or len(starts) <= self._room - self._length(document.title):
            return [document]
        title = self._start_of(document.title, self._room // 2)
        room = self._room - self._length(title)
        overlap = min(self._overlap, room // 2)
        passages: list[Document] = []
        for first, last in _windows(words, room, overlap):
            start, end = int(starts[first]), int(ends[last - 1])
            where: dict[str, FieldValue] = {PASSAGE_OF: document.doc_id, "passage_start": start, "passage_end": end}
            passages.append(
                Document(
                    f"{document.doc_id}#{len(passages)}", document.text[start:end], title,
                    {**document.fields, **where},
                )
            )  # fmt: skip
        return passages

    def _length(self, text: str) -> int:
        return len(self._tokenizer.encode([text])[0]) if text else 0

    def _start_of(self, title: str, n_tokens: int) -> str:
        if not title:
            return title
        ends = [end for _, end in self._tokenizer.encode([title])[0].offsets]
        return title if len(ends) <= n_tokens else title[: ends[n_tokens - 1]]

    def _tokens(self, text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where each token starts and ends in the text, and the number of its word."""
        spans: list[npt.NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
        words: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        n_words = 0
        for start, block in _blocks(text):
            encoding = self._tokenizer.encode([block])[0]
            spans.append(np.array(encoding.offsets, np.int64).reshape(-1, 2) + start)
            ids = np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
            words.append(ids + n_words)
            n_words += int(ids.max(initial=-1)) + 1
        spans_of_all = np.concatenate(spans)
        return spans_of_all[:, 0], spans_of_all[:, 1], np.concatenate(words)


def split_documents(documents: Iterable[Document], splitter: PassageSplitter) -> Iterator[Document]:
    """Yield each document, or its passages if it is too long."""
    for document in documents:
        yield from splitter.split(document)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield pieces of a text that end at white space, where there is some, with the place of each."""
    text = clean(text)
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > BLOCK_CHARACTERS:
            space = _SPACE.search(text, start + BLOCK_CHARACTERS)
            end = min(space.start() if space else end, start + 2 * BLOCK_CHARACTERS)
        yield start, text[start:end]
        start = end


def _windows(words: npt.NDArray[np.int64], room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield windows of at most `room` tokens that cover all of them; none begins or ends within a word that fits."""
    first = 0
    while first + room < len(words):
        last = _word_start(words, first + room, first + overlap + 1)
        yield first, last
        first = _word_start(words, last - overlap, first + 1)
    yield first, len(words)


def _word_start(words: npt.NDArray[np.int64], at: int, lowest: int) -> int:
    """Return the last start of a word in [lowest, at], or `at` if there is none."""
    for place in range(at, lowest - 1, -1):
        if words[place] != words[place - 1]:
            return place
    return at
