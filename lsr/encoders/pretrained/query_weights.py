"""Weights of a query table as models store them: by token, or in the order of token ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.module_keys import warn_once
from lsr.errors import EncoderError

MAX_QUERY_TOKENS = 1 << 20
"""Tokens that a table reads of a query where its tokenizer sets no limit."""


def weights_by_token(
    weights: Mapping[str, float], tokenizer: Tokenizer, vocab_size: int, *, place: Path | None = None
) -> npt.NDArray[np.float32]:
    """Return weights by token id, float32 (vocab_size), 0 for tokens without one. weights: by token.

    place: file of the weights, for messages; then many tokens without a weight, and unknown ones with one, are warned
    of once. Raises EncoderError where no token is known, or a weight is no number.
    """
    of = "query weights" if place is None else str(place)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    is_none = weights == {} and place is None  # asked for from Python, where no term of the model is to count
    if not is_none and (not isinstance(weights, Mapping) or not weights.keys() & ids.keys()):
        raise EncoderError(f"{of}: no token of the model has a weight: an object of weights by token was expected")
    by_id = np.zeros(vocab_size, np.float32)
    n_known = 0
    for token, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise EncoderError(f"{of}: token {token!r:.60} weighs {weight!r:.60}; a number was expected")
        if token in ids:
            by_id[ids[token]] = weight
            n_known += 1
    if place is not None and n_known < len(weights):
        warn_once(f"{place}: {len(weights) - n_known:,} of {len(weights):,} tokens are not the tokenizer's: left out")
    if place is not None and n_known * 2 < len(ids):
        warn_once(
            f"{place}: {n_known:,} of the model's {len(ids):,} tokens have a weight: the others weigh 0 in queries"
        )
    return by_id


def stored_weights(folder: Path, vocab_size: int | None, n_tokens: int) -> npt.NDArray[np.float32]:
    """Return the weights of a table's folder by token id, float32 (vocab_size), 0 behind those that are stored.

    vocab_size: None for as many as are stored. n_tokens: number of the tokenizer's tokens. Raises
    EncoderError where there are no weights, fewer than n_tokens, or more than vocab_size.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise EncoderError(
            f"{path} is missing: the query weights are not there, or pickled; lsr encoder convert writes them as "
            "safetensors"
        )
    tensors = Tensors(path)
    stored = tensors.get("weight") if "weight" in tensors else None
    most = vocab_size or (0 if stored is None else stored.size)
    if stored is None or stored.ndim != 1 or not min(n_tokens, vocab_size or n_tokens) <= len(stored) <= most:
        shape = "nothing called weight" if stored is None else f"weights of shape {stored.shape}"
        wanted = f"{vocab_size or n_tokens:,}"
        raise EncoderError(f"{path} holds no vector of {wanted} query weights: {shape}, for {n_tokens:,} tokens")
    weights = np.zeros(most, np.float32)
    weights[: len(stored)] = stored
    return weights
