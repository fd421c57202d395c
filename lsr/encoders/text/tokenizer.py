"""Tokenisation by the `tokenizers` library alone, which is all that an inference-free model's queries need."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from lsr.encoders.text.tokenizer_checks import check_size, check_tokenizer
from lsr.errors import EncoderError
from lsr.io.folder import FileAt
from lsr.io.plain_file import opened

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CHARACTERS_PER_TOKEN = 32
_PROBE = "Probing: naïve Café 東京 x1.5 e\u0301 #tag <s> don't\tEND"


def clean(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by U+FFFD."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def read_tokenizer(path: Path | FileAt, *, n_rows: int | None = None) -> Tokenizer:
    """Read a `tokenizer.json`. Raises EncoderError if it isn't one, or isn't safe to be read.

    n_rows: of the weights that token ids have to lie within; None: any number.
    """
    text = checked_text(path, n_rows=n_rows)
    with library_errors(f"{path} is not a tokenizer"):
        return Tokenizer.from_str(text)


def checked_text(path: Path | FileAt, *, n_rows: int | None = None) -> str:
    """Return the text of a `tokenizer.json` that is safe to be read. Arguments and errors as of `read_tokenizer`."""
    try:
        check_size(path)
        with opened(path) if isinstance(path, Path) else path.open() as file:
            text = file.read().decode()
    except FileNotFoundError as error:
        raise EncoderError(f"{path} is missing: the encoder needs a fast tokenizer") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path} is not a tokenizer: {error}") from error
    check_tokenizer(text, path, n_rows=n_rows)
    return text


@contextmanager
def library_errors(message: str) -> Iterator[None]:
    """Turn errors of the `tokenizers` library into EncoderError, its panics too, which are no Exceptions."""
    try:
        yield
    except EncoderError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise EncoderError(f"{message}: {first_line(error)}") from error
        raise


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, for an error of one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def check_token_ids(tokenizer: Tokenizer, n_rows: int, place: Path) -> None:
    """Raise EncoderError where a tokenizer gives token ids, special ones too, that a model has no embedding for."""
    ids = [*tokenizer.get_vocab(with_added_tokens=True).values(), *tokenizer.encode("").ids]
    if max(ids, default=-1) >= n_rows:
        raise EncoderError(
            f"{place}: the tokenizer has token ids up to {max(ids)}, but the model knows only {n_rows} terms"
        )


def copy_of(tokenizer: Tokenizer) -> Tokenizer:
    """Return a copy, to be configured apart from the first."""
    return Tokenizer.from_str(tokenizer.to_str())


class TextTokenizer:
    """A tokenizer without padding, cutting at `max_length` tokens (special tokens among them).

    tokenizer: configured here, so nothing else may use it. max_length: number of tokens (None: no limit).
    copies: times that the text's own tokens will be repeated; `max_length` is for all of them.
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
        """Return each text's tokens, in order. Raises EncoderError where the tokenizer fails."""
        with library_errors("the tokenizer fails at a text; it is broken"):
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
    """Return the tokens by id; ids beyond the tokenizer's get names that no text gives.

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
    """Return a hash of the vocabulary and of a probe text's tokens, the same for every version of the library."""
    bare = TextTokenizer(copy_of(tokenizer), max_length=None)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=lambda token: (ids[token], token))
    digest = hashlib.sha256("\0".join(tokens).encode("utf-8", "surrogatepass"))
    digest.update(json.dumps([sorted(ids.values())[-1:], bare.encode([_PROBE])[0].ids]).encode())
    return digest.hexdigest()
