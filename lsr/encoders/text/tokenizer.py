"""Texts to token ids, on the `tokenizers` library alone: the query side of an inference-free model needs no more."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from lsr.errors import EncoderError
from lsr.io.folder import FileAt

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CHARACTERS_PER_TOKEN = 32
_PROBE = "Probing: naïve Café 東京 x1.5 e\u0301 #tag <s> don't\tEND"


def clean(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by U+FFFD."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def read_tokenizer(path: Path | FileAt) -> Tokenizer:
    """Read a `tokenizer.json`. Raises EncoderError if it isn't one."""
    try:
        with path.open("rb") if isinstance(path, Path) else path.open() as file:
            return Tokenizer.from_str(file.read().decode())
    except FileNotFoundError as error:
        raise EncoderError(f"{path} is missing: the encoder needs a fast tokenizer") from error
    except Exception as error:
        raise EncoderError(f"{path} is not a tokenizer: {error}") from error


def copy_of(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer of its own, to be configured apart from the first."""
    return Tokenizer.from_str(tokenizer.to_str())


class TextTokenizer:
    """A tokenizer without padding, cutting at `max_length` tokens (special tokens among them).

    tokenizer: is configured, so nobody else may use it. max_length: None cuts nothing.
    copies: how often the text's own tokens will stand there; `max_length` is for all of them.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, max_length: int | None, special_tokens: bool = True, copies: int = 1
    ) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._special_tokens = special_tokens
        self.max_length = max_length
        if max_length is not None:
            overhead = self._tokenizer.num_special_tokens_to_add(is_pair=False) if special_tokens else 0
            room = (max_length - overhead) // copies
            if room < 1:
                raise EncoderError(
                    f"max_length {max_length} leaves no room beside {overhead} special tokens: raise max_length"
                )
            self.max_length = room + overhead
            self._tokenizer.enable_truncation(self.max_length)

    @property
    def backend(self) -> Tokenizer:
        """The tokenizer itself; only to be read."""
        return self._tokenizer

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Return each text's tokens, in order."""
        starts = [self._head(clean(text)) for text in texts]
        if len(starts) == 1:  # without the library's thread pool, which a single query can't use
            return [self._tokenizer.encode(starts[0], add_special_tokens=self._special_tokens)]
        return list(self._tokenizer.encode_batch(starts, add_special_tokens=self._special_tokens))

    def _head(self, text: str) -> str:
        """Return the start of `text` if that alone fills `max_length`: a line of megabytes need not be read whole."""
        if self.max_length is None:
            return text
        n_characters = _CHARACTERS_PER_TOKEN * self.max_length
        while n_characters < len(text):
            end = text.find(" ", n_characters)
            if end < 0:
                return text
            head = text[:end]
            if len(self._tokenizer.encode(head, add_special_tokens=self._special_tokens)) >= self.max_length:
                return head
            n_characters *= 4
        return text


def vocabulary(tokenizer: Tokenizer, size: int) -> list[str]:
    """Return the tokens by id; ids that a model has beyond its tokenizer get names that no text gives.

    Raises EncoderError if the tokenizer has tokens beyond `size`.
    """
    ids = tokenizer.get_vocab(with_added_tokens=True)
    last = max(ids.values(), default=-1)
    if last >= size:
        raise EncoderError(f"the tokenizer has token ids up to {last}, but the model knows only {size} terms")
    terms = [f"[unused id {i}]" for i in range(size)]
    for token, i in ids.items():
        terms[i] = token
    return terms


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """Return a hash of the vocabulary and of what a probe text becomes: the same for every version of the library."""
    bare = TextTokenizer(copy_of(tokenizer), max_length=None)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=lambda token: (ids[token], token))
    digest = hashlib.sha256("\0".join(tokens).encode("utf-8", "surrogatepass"))
    digest.update(json.dumps([sorted(ids.values())[-1:], bare.encode([_PROBE])[0].ids]).encode())
    return digest.hexdigest()


def token_ids(encodings: Sequence[Encoding]) -> list[npt.NDArray[np.int64]]:
    """Return the token ids of each encoding."""
    return [np.array(encoding.ids, np.int64) for encoding in encodings]
