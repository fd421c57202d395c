"""Cross-encoders as teachers: query and document read together by a sequence classifier.

Nogueira and Cho, "Passage Re-ranking with BERT" (2019, arXiv:1901.04085); as teachers, Hofstätter et al., "Improving
Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation" (2020, arXiv:2010.02666).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lsr.encoders.batching import Halving, plan
from lsr.encoders.checkpoints import read_model, read_tokenizer_of, token_limit
from lsr.encoders.loading import Placement
from lsr.encoders.memory import give_back
from lsr.encoders.source import locate
from lsr.encoders.text_tower import MAX_TOKENS
from lsr.encoders.tokens import clean, tokenizer_hash
from lsr.errors import EncoderError
from lsr.training.example import Example
from lsr.training.teachers.base import Advance, Scores, Wanted, ignore
from lsr.training.teachers.pairs import Pair, PairScores
from lsr.training.teachers.store import open_store
from lsr.types import Document

MAX_PAIRS = 256
"""Pairs of a batch."""


class CrossEncoderTeacher:
    """Scores by what a classifier says of a pair before any activation. Made by `load_cross_encoder`."""

    def __init__(self, name: str, scores: PairScores) -> None:
        self.name = name
        self._scores = scores

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return the wanted scores, NaN elsewhere."""
        return self._scores.matrix(queries, documents, wanted)

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Compute and keep the scores of the examples' own documents; return how many were new."""
        return self._scores.prepare(examples, advance)

    def pair_scores(self, pairs: Sequence[Pair]) -> npt.NDArray[np.float32]:
        """Return the score of each pair, (n_pairs)."""
        return self._scores.of(pairs)


def load_cross_encoder(
    name: str,
    model: str,
    cache: Path | None,
    *,
    revision: str | None = None,
    max_length: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> CrossEncoderTeacher:
    """Load a cross-encoder from a folder or from the Hugging Face hub: safetensors, no code of its own.

    max_length: tokens of a pair, the longer text of the two being cut; default, what the model takes. The score is
    the logit of a model with one label, the second less the first of a model with two.
    Raises EncoderError if it can't be loaded, or has another number of labels.
    """
    source = locate(model, revision=revision)
    placement = Placement.of(device, dtype, max_tokens)
    classifier = read_model(source.folder, "classifier", placement.dtype).to(placement.device)
    if classifier.config.num_labels not in (1, 2):
        raise EncoderError(
            f"{source.name} tells {classifier.config.num_labels} labels apart, but a cross-encoder has 1 or 2"
        )
    tokenizer = read_tokenizer_of(source.folder)
    limits = [limit for limit in (token_limit(classifier, tokenizer), max_length) if limit is not None]
    scorer = _Scorer(classifier, tokenizer, min(limits, default=None), placement)
    weights = sorted(source.folder.glob("*.safetensors"))
    revision = source.commit or str([(path.name, _sha256(path)) for path in weights])
    settings = {
        "name": source.name,
        "revision": revision,
        "tokenizer_hash": tokenizer_hash(tokenizer.backend_tokenizer),
        "max_length": scorer.max_length,
        "dtype": str(placement.dtype),
    }
    return CrossEncoderTeacher(name, PairScores(open_store(cache, "cross-encoder", settings), scorer.scores))


class _Scorer:
    """Pairs through the model, in batches of like length that become smaller where memory runs out."""

    def __init__(self, model: Any, tokenizer: Any, max_length: int | None, placement: Placement) -> None:
        self.max_length = max_length
        self._model = model
        self._tokenizer = tokenizer
        self._device = placement.device
        self._max_tokens = placement.max_tokens or MAX_TOKENS["cuda" if placement.device.type == "cuda" else "cpu"]

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair]) -> npt.NDArray[np.float32]:
        """Return the score of each pair."""
        encoded = self._tokenizer(
            [clean(query) for query, _ in pairs],
            [clean(document.full_text) for _, document in pairs],
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
                raise EncoderError(f"a cross-encoder gave {scores[~np.isfinite(scores)][0]} for a pair: take float32")
            return scores

        groups = plan(lengths, max_tokens=self._max_tokens, max_texts=MAX_PAIRS)
        for group, scores in Halving(score, give_back).run(groups):
            found[group] = scores
        return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
