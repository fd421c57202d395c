"""Folder of a static encoder: rows of words and query weights in one file, a tokenizer, and settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from lsr.encoders.static.choose import CONFIG_FILE
from lsr.encoders.static.config import StaticConfig
from lsr.encoders.text.tokenizer import check_token_ids, read_tokenizer
from lsr.errors import EncoderError, LsrError
from lsr.io.plain_file import opened, sha256_of
from lsr.kernels.encode.static_rows import Rows

ROWS_FILE = "rows.safetensors"
TOKENIZER_FILE = "tokenizer.json"
FORMAT = 1
CONTINUING = "##"
"""Beginning of tokens that continue a word."""
MOST_TERMS = 1 << 16
"""Terms that 16 bits number."""


@dataclass(frozen=True, slots=True)
class StaticParts:
    """Parts of a static encoder.

    word_indptr: int64 (n_words + 1). word_tokens: int32, token ids of each word. rows: of each word.
    query_weights: float32 (vocab_size), of a query's tokens.
    """

    config: StaticConfig
    tokenizer: Tokenizer
    word_indptr: npt.NDArray[np.int64]
    word_tokens: npt.NDArray[np.int32]
    rows: Rows
    query_weights: npt.NDArray[np.float32]

    @property
    def vocab_size(self) -> int:
        """Number of terms."""
        return len(self.query_weights)


def write_static(parts: StaticParts, folder: Path) -> None:
    """Write an encoder's parts to a folder, which exists."""
    rows = parts.rows
    arrays = {
        "word_lengths": np.diff(parts.word_indptr).astype(np.uint8),
        "word_tokens": parts.word_tokens.astype(np.uint16),
        "row_lengths": np.diff(rows.indptr).astype(np.uint16),
        "terms": rows.terms,
        "weights": rows.weights,
        "query_weights": parts.query_weights.astype(np.float16),
    }
    save_file(arrays, folder / ROWS_FILE)
    (folder / ROWS_FILE).chmod(0o644)
    (folder / TOKENIZER_FILE).write_text(parts.tokenizer.to_str(), encoding="utf-8")
    values = {"format": FORMAT, **parts.config.to_json()}
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_static(folder: Path) -> StaticParts:
    """Read what `write_static` wrote. Raises EncoderError for files that are missing, broken, or don't fit together."""
    config = _read_config(folder / CONFIG_FILE)
    arrays = _read_arrays(folder / ROWS_FILE)
    tokenizer = read_tokenizer(folder / TOKENIZER_FILE)
    n_terms = len(arrays["query_weights"])
    check_token_ids(tokenizer, n_terms, folder)
    parts = StaticParts(
        config,
        tokenizer,
        _starts(arrays["word_lengths"]),
        arrays["word_tokens"].astype(np.int32),
        Rows(_starts(arrays["row_lengths"]), arrays["terms"], arrays["weights"]),
        arrays["query_weights"].astype(np.float32),
    )
    _check(parts, folder / ROWS_FILE)
    return parts


def revision_of(folder: Path) -> str:
    """Return a hash of everything that an encoder's vectors depend on."""
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, ROWS_FILE, TOKENIZER_FILE):
        digest.update(sha256_of(folder / name))
    return f"sha256:{digest.hexdigest()}"


def _read_config(path: Path) -> StaticConfig:
    try:
        with opened(path) as file:
            values: Any = json.loads(file.read().decode("utf-8"))
        version = values.pop("format", None)
        if version != FORMAT:
            raise EncoderError(f"{path} has format {version}, but this program reads {FORMAT}")
        return StaticConfig.from_json(values)
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise EncoderError(f"{path} can't be read: {error}") from error
    except LsrError as error:
        raise EncoderError(f"{path}: {error}") from error


_DTYPES = {
    "word_lengths": np.uint8,
    "word_tokens": np.uint16,
    "row_lengths": np.uint16,
    "terms": np.uint16,
    "weights": np.uint8,
    "query_weights": np.float16,
}


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays: dict[str, npt.NDArray[Any]] = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise EncoderError(f"{path} can't be read: {error}") from error
    for name, dtype in _DTYPES.items():
        array = arrays.get(name)
        if array is None or array.dtype != dtype or array.ndim != 1:
            raise EncoderError(f"{path}: {name} is missing, or no row of {np.dtype(dtype)}: the model is broken")
    return arrays


def _starts(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def _check(parts: StaticParts, path: Path) -> None:
    """Raise EncoderError for numbers that kernels would read beyond an array by."""
    rows, n_terms = parts.rows, parts.vocab_size
    weights = parts.query_weights
    reasons = {
        "there are no words": len(parts.word_indptr) < 2,
        f"there are {n_terms:,} terms": not 0 < n_terms <= MOST_TERMS,
        "words and rows are not as many": len(parts.word_indptr) != len(rows.indptr),
        "a word has no tokens": bool((np.diff(parts.word_indptr) < 1).any()),
        "words have other tokens than their lengths say": parts.word_indptr[-1] != len(parts.word_tokens),
        "rows have other terms than their lengths say": not rows.indptr[-1] == len(rows.terms) == len(rows.weights),
        "a token lies beyond the vocabulary": bool((parts.word_tokens >= n_terms).any()),
        "a term lies beyond the vocabulary": bool((rows.terms >= n_terms).any()),
        "a weight is 0": bool((rows.weights == 0).any()),
        "a query weight is below 0 or no number": not (np.isfinite(weights).all() and (weights >= 0).all()),
    }
    for reason, holds in reasons.items():
        if holds:
            raise EncoderError(f"{path}: {reason}: the model is broken")
