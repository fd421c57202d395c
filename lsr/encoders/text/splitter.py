"""Splitting of long documents into overlapping passages, each no longer than a model reads.

A document is then worth what its best passage is (MaxP): Dai and Callan, "Deeper Text Understanding for IR with
Contextual Neural Language Modeling" (SIGIR 2019, arXiv:1905.09217); for learned sparse retrieval Nguyen et al.,
"Adapting Learned Sparse Retrieval for Long Documents" (SIGIR 2023, arXiv:2305.18494).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder
from lsr.encoders.text.passage_names import passage_id
from lsr.encoders.text.token_count import TokenCount
from lsr.encoders.text.tokenizer import TextTokenizer, clean, copy_of
from lsr.errors import BadDocumentError, UsageError
from lsr.types import (
    PASSAGE_END,
    PASSAGE_MARK,
    PASSAGE_OF,
    PASSAGE_START,
    PASSAGE_TITLE,
    Document,
    FieldValue,
)

BLOCK_CHARACTERS = 1 << 18
"""Characters that are tokenised at a time, so that a line of megabytes needs no more memory than this."""

MIN_ROOM = 16
"""Tokens that a passage holds at least, its title among them; a title gets half of them at most."""

DEFAULT_OVERLAP = 32
"""Default of the tokens that two passages share."""

WORDS = 200
"""Words of a passage for encoders without a limit."""

_UNKNOWN = "?"
_SPACE = re.compile(r"\s")


@runtime_checkable
class ReadsTokens(Protocol):
    """An encoder that reads a limited number of tokens."""

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        ...

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that are read whole."""
        ...


class PassageSplitter:
    """Cuts documents into passages that a model reads whole.

    tokenizer: the model's. max_length: tokens that the model reads, special ones, prompt and title among them.
    overlap: tokens that two passages share; default DEFAULT_OVERLAP, or a quarter where passages are that short.
    prompt: text that the model puts before each text.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, *, overlap: int | None = None, prompt: str = "") -> None:
        self._tokenizer = TextTokenizer(copy_of(tokenizer), max_length=None, special_tokens=False)
        extra = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._room = max_length - extra - self._length(prompt)
        if self._room < MIN_ROOM:
            raise UsageError(
                f"max_length is {max_length}; beside {extra} special tokens and the prompt {prompt!r} "
                f"passages need {MIN_ROOM} more"
            )
        overlap = min(DEFAULT_OVERLAP, self._room // 4) if overlap is None else overlap
        if not 0 <= overlap <= self._room // 2:
            raise UsageError(f"overlap is {overlap}, but has to lie in 0…{self._room // 2}")
        self._overlap = overlap
        self.settings: Mapping[str, int] = {"overlap": overlap, "max_length": max_length}

    @property
    def room(self) -> int:
        """Tokens of title and text that the model reads at once."""
        return self._room

    def split(self, document: Document, count: TokenCount | None = None) -> list[Document]:
        """Return the document itself if it fits, else its passages, in order. count: receives the document's tokens.

        The first passage has the document's id, the others names of `passage_id`. A passage has the document's title
        (of one longer than half a passage its start, and all of it as PASSAGE_TITLE) and its fields, beside them
        PASSAGE_OF and the characters of the text that it holds, PASSAGE_START and PASSAGE_END. It begins and ends
        between words where there are any. Raises BadDocumentError for an id or a field that passages need.
        """
        if document.doc_id.startswith(PASSAGE_MARK):
            raise BadDocumentError(
                f"document {document.doc_id!r}: its id begins with the control character U+001F, which names passages "
                "where documents are cut: rename it"
            )
        if PASSAGE_OF in document.fields:
            raise BadDocumentError(
                f"document {document.doc_id}: the name of its field {PASSAGE_OF!r} is reserved where documents are "
                "cut into passages: rename it"
            )
        starts, ends, words = self._tokens(document.text)
        n_tokens = len(starts) + self._length(document.title)
        is_longer = len(starts) > 0 and n_tokens > self._room
        passages = self._passages(document, starts, ends, words) if is_longer else [document]
        if count is not None:
            count.add(n_tokens, n_tokens, is_longer=is_longer, n_pieces=len(passages))
        return passages

    def measure(self, document: Document, count: TokenCount) -> None:
        """Count the tokens of a document cut at the model's length; a very long end is estimated."""
        text = document.text
        block = next((block for _, block in _blocks(text)), "")
        n_tokens = self._length(block)
        estimated = len(block) < len(text)
        if estimated:
            n_tokens = max(n_tokens, round(n_tokens * len(text) / len(block)))
        n_tokens += self._length(document.title)
        is_longer = n_tokens > self._room
        count.add(n_tokens, min(n_tokens, self._room), is_longer=is_longer, estimated=estimated)

    def _passages(
        self,
        document: Document,
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        words: npt.NDArray[np.int64],
    ) -> list[Document]:
        title = self._start_of(document.title, self._room // 2)
        room = self._room - self._length(title)
        overlap = min(self._overlap, room // 2)
        passages: list[Document] = []
        for first, last in _windows(words, room, overlap):
            start, end = int(starts[first]), int(ends[last - 1])
            where: dict[str, FieldValue] = {PASSAGE_OF: document.doc_id, PASSAGE_START: start, PASSAGE_END: end}
            if title != document.title:
                where[PASSAGE_TITLE] = document.title
            doc_id = passage_id(document.doc_id, len(passages))
            passages.append(Document(doc_id, document.text[start:end], title, {**document.fields, **where}))
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


def length_of_passages(name: str, limit: int | None, wanted: int | None) -> int:
    """Return the tokens of an encoder's passages. Raises UsageError if it reads fewer than wanted, or without limit."""
    if limit is None:
        raise UsageError(f"encoder {name} reads texts of any length: there is nothing to split")
    if wanted is not None and wanted > limit:
        raise UsageError(f"passages of {wanted} tokens are longer than the {limit} that encoder {name} reads")
    return wanted or limit


def word_tokenizer() -> Tokenizer:
    """Return a tokenizer whose tokens are words between white space: for encoders that have no other."""
    tokenizer = Tokenizer(models.WordLevel({_UNKNOWN: 0}, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def choose_splitter(
    encoder: Encoder, dense: DenseEncoder | None = None, *, overlap: int | None = None, max_length: int | None = None
) -> PassageSplitter:
    """Return the splitter of the encoder that reads less, so that all read its passages whole.

    overlap: tokens that two passages share. max_length: tokens of a passage; default, as many as the models read, and
    WORDS words where there is none. Raises UsageError if a length is out of its range.
    """
    encoders: tuple[object, ...] = (encoder, dense)
    readers = [each for each in encoders if isinstance(each, ReadsTokens) and each.text_length is not None]
    if not readers:
        return PassageSplitter(word_tokenizer(), max_length or WORDS, overlap=overlap)
    least = min(readers, key=lambda reader: reader.text_length or 0)
    return least.splitter(overlap=overlap, max_length=max_length)


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
    """Yield windows of at most `room` tokens that cover all of them, at boundaries of words where they fit."""
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
