"""Cross-encoders: a query and a text read together by a sequence classifier, which scores them.

Nogueira and Cho, "Passage Re-ranking with BERT" (2019, arXiv:1901.04085). Nothing of a text can be computed before the
query is known, so they are for a few candidates of another search, and for teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lsr.encoders.memory import give_back
from lsr.encoders.network.batching import Halving, plan
from lsr.encoders.network.text_model import MAX_TOKENS
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.load_model import Placement
from lsr.encoders.pretrained.transformers_checkpoint import check_ids_of, read_model, read_tokenizer_of, token_limit
from lsr.encoders.text.tokenizer import clean, tokenizer_hash
from lsr.encoders.threads import limited_torch
from lsr.errors import EncoderError

MAX_PAIRS = 256
"""Pairs of a batch."""


class CrossEncoder:
    """Scores pairs in batches of like length, which become smaller where memory runs out. Made by `load_cross_encoder`.

    description: JSON values that decide a score. max_length: tokens of a pair, None: any number.
    """

    def __init__(
        self, model: Any, tokenizer: Any, description: Mapping[str, Any], max_length: int | None, placement: Placement
    ) -> None:
        self.description = description
        self.max_length = max_length
        self._model = model
        self._tokenizer = tokenizer
        self._device = placement.device
        self._max_tokens = placement.max_tokens or MAX_TOKENS["cuda" if placement.device.type == "cuda" else "cpu"]

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.description["name"])

    @torch.inference_mode()
    def scores(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the model's score of each query and text before any activation, float32, (n_pairs).

        Raises EncoderError for NaN or infinity.
        """
        if not pairs:
            return np.zeros(0, np.float32)
        encoded = self._tokenizer(
            [clean(query) for query, _ in pairs],
            [clean(text) for _, text in pairs],
            truncation="longest_first" if self.max_length else False,
            max_length=self.max_length,
        )
        lengths = [len(ids) for ids in encoded["input_ids"]]
        found = np.zeros(len(pairs), np.float32)

        def score(group: list[int]) -> npt.NDArray[np.float32]:
            features = {key: [values[i] for i in group] for key, values in encoded.items()}
            batch = self._tokenizer.pad(features, return_tensors="pt").to(self._device)
            logits = self._model(**batch).logits.float()
            if logits.shape[1] == 2:
                logits = logits[:, 1:] - logits[:, :1]
            scores: npt.NDArray[np.float32] = logits[:, 0].cpu().numpy()
            if not np.isfinite(scores).all():
                wrong = scores[~np.isfinite(scores)][0]
                raise EncoderError(f"cross-encoder {self.name} gave {wrong} for a pair: take float32, or another model")
            return scores

        groups = plan(lengths, max_tokens=self._max_tokens, max_texts=MAX_PAIRS)
        with limited_torch():
            for group, scores in Halving(score, give_back).run(groups):
                found[group] = scores
        return found


def load_cross_encoder(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    max_length: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> CrossEncoder:
    """Load a cross-encoder from a folder or from the Hugging Face hub: safetensors, and no code of the model.

    max_length: tokens of a pair, the longer text of the two being cut; default, what the model takes. The score is
    the logit of a model with one label, the second less the first of a model with two. revision, device, dtype,
    max_tokens: as for sparse encoders. Raises EncoderError if it can't be loaded, or has another number of labels.
    """
    source = locate(name_or_path, revision=revision)
    placement = Placement.of(device, dtype, max_tokens)
    classifier = read_model(source.folder, "sequence-classification", placement.dtype).to(placement.device)
    if classifier.config.num_labels not in (1, 2):
        raise EncoderError(
            f"{source.name} tells {classifier.config.num_labels} labels apart, but a cross-encoder has 1 or 2"
        )
    tokenizer = read_tokenizer_of(source.folder)
    check_ids_of(tokenizer, classifier, source.folder)
    limits = [limit for limit in (token_limit(classifier, tokenizer), max_length) if limit is not None]
    limit = min(limits, default=None)
    description = {
        "name": source.name,
        "revision": source.commit or hash_of_weights(sorted(source.folder.glob("*.safetensors"))),
        "tokenizer_hash": tokenizer_hash(tokenizer.backend_tokenizer),
        "max_length": limit,
        "dtype": str(placement.dtype),
    }
    return CrossEncoder(classifier, tokenizer, description, limit, placement)
