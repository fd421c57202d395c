"""Weights of a query table as models store them: by token, or in the order of token ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.errors import EncoderError

MAX_QUERY_TOKENS = 1 << 20
"""Tokens that a table reads of a query where its tokenizer sets no limit."""


def weights_by_token(weights: Mapping[str, float], tokenizer: Tokenizer, vocab_size: int) -> npt.NDArray[np.float32]:
    """Return weights by token id, float32 (vocab_size), 0 for tokens without one. weights: by token."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    by_id = np.zeros(vocab_size, np.float32)
    for token, weight in weights.items():
        if token in ids:
            by_id[ids[token]] = weight
    return by_id


def stored_weights(folder: Path, vocab_size: int) -> npt.NDArray[np.float32]:
    """Return the weights of a table's folder by token id, float32 (vocab_size), 0 behind those that are stored.

    Raises EncoderError where there are none, or more than vocab_size.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise EncoderError(f"{path} is missing: the query weights are not there, or pickled; save them as safetensors")
    tensors = Tensors(path)
    stored = tensors.get("weight") if "weight" in tensors else None
    if stored is None or stored.ndim != 1 or len(stored) > vocab_size:
        raise EncoderError(f"{path} holds no vector of {vocab_size} query weights")
    weights = np.zeros(vocab_size, np.float32)
    weights[: len(stored)] = stored
    return weights
