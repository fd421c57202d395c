"""The head of an extended vocabulary: an MLM head's tokens, and phrases by given embeddings.

DyVo: Nguyen et al., "DyVo: Dynamic Vocabularies for Learned Sparse Retrieval with Entities" (EMNLP 2024,
arXiv:2410.07722), where entities that a text may be about are scored by their embeddings. CASPER: Do et al.,
"CASPER: Concept-integrated Sparse Representation for Scientific Retrieval" (2025, arXiv:2508.13394), where keyphrases
are terms beside tokens. Here phrases are candidates where they stand in the text (a gazetteer), or all of them are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig
from lsr.encoders.network.activations import ACTIVATIONS
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.network.heads.mlm import MLMHead
from lsr.encoders.network.heads.pooling import rectangle
from lsr.encoders.text.phrases import PhraseMatcher
from lsr.errors import EncoderError

STEP = 4096
"""Phrases that are scored at a time where all are candidates."""
FITTED, RIDGE = 20_000, 0.01
"""Largest number of phrases that the start of `map` is fitted to, and the fit's penalty.

The penalty is in units of an embedding's mean variance.
"""


class PhraseHead(Head):
    """Weights of tokens by an MLM head, and of phrases by their embeddings.

    A phrase's logit is the largest h · (map · embedding) + bias of the text's positions. matcher: of the phrases.
    embeddings: float32, (n_phrases, dimension), which training leaves as they are. candidates: `text` or `all`.
    """

    embeddings: Tensor

    def __init__(
        self, projection: nn.Linear, matcher: PhraseMatcher, embeddings: Tensor, *, activation: str, pooling: str,
        candidates: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_tokens = int(projection.out_features)
        self.matcher = matcher
        self.vocab_size = self.n_tokens + len(embeddings)
        self.projection = projection
        self._words = MLMHead(projection, self.n_tokens, activation=activation, pooling=pooling)
        self._activation = ACTIVATIONS[activation]
        self._only_text = candidates == "text"
        self.register_buffer("embeddings", embeddings)
        self.map = nn.Linear(embeddings.shape[1], projection.in_features, bias=False)
        self.bias = nn.Parameter(torch.zeros(1))
        with torch.no_grad():
            self._start()

    @property
    def n_own(self) -> int:
        """Number of terms that are tokens."""
        return self.n_tokens

    def forward(self, states: TokenStates) -> Tensor:
        """Return the weights of tokens, and behind them those of phrases."""
        return torch.cat([self._words(states), self._activation(self.phrase_logits(states))], 1)

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the weights and logits of all or of chosen terms.

        A phrase that is no candidate has a logit of 0.
        """
        own = None if terms is None else terms[terms < self.n_tokens]
        weights, logits = self._words.for_training(states, own)
        phrases = self.phrase_logits(states)
        if terms is not None:
            phrases = phrases[:, terms[terms >= self.n_tokens] - self.n_tokens]
        both = torch.cat([weights, self._activation(phrases)], 1)
        return both, None if logits is None else torch.cat([logits, phrases], 1)

    def phrase_logits(self, states: TokenStates) -> Tensor:
        """Return the largest logit of each text's positions for each phrase, 0 for phrases that are no candidates."""
        texts = rectangle(states.hidden, states.lengths)
        vectors: Tensor = self.map(self.embeddings.to(self.map.weight.dtype))
        if not self._only_text:
            parts = [(texts @ some.T).amax(1).float() for some in vectors.split(STEP)]
            return torch.cat(parts, 1) + self.bias.float()
        found = torch.zeros(len(texts), len(vectors), device=texts.device)
        numbers = [self._candidates(ids) for ids in states.ids.split(states.lengths.tolist())]
        logits = [(text @ vectors[some].T).amax(0) for text, some in zip(texts, numbers, strict=True) if some]
        if not logits:
            return found + 0.0 * (self.bias + vectors.sum())  # so that every parameter has a gradient
        rows = torch.tensor([row for row, some in enumerate(numbers) for _ in some], device=texts.device)
        columns = torch.tensor([number for some in numbers for number in some], device=texts.device)
        return found.index_put((rows, columns), torch.cat(logits).float() + self.bias.float())

    def own_weights(self) -> dict[str, Tensor]:
        """Return what phrases are scored by."""
        return {name: value for name, value in self.state_dict().items() if name in ("map.weight", "bias")}

    def _start(self) -> None:
        """Let phrases score as the means of their tokens, by ridge regression from their embeddings."""
        tokens = self.matcher.phrases.tokens[:FITTED]
        weight, bias = self.projection.weight.float(), self.projection.bias
        means = torch.stack([weight[list(ids)].mean(0) for ids in tokens])
        given = self.embeddings[: len(tokens)].float()
        squares = given.T @ given
        ridge = RIDGE * squares.diagonal().mean().clamp(min=1e-6) * torch.eye(len(squares))
        self.map.weight.copy_(torch.linalg.solve(squares + ridge, given.T @ means).T)
        if bias is not None:
            self.bias.fill_(float(torch.stack([bias[list(ids)].float().mean() for ids in tokens]).mean()))

    def _candidates(self, ids: Tensor) -> list[int]:
        return sorted({occurrence.phrase for occurrence in self.matcher.find(ids.tolist())})


def _make(backbone: Any, config: TowerConfig) -> PhraseHead:
    if backbone.projection is None:
        raise EncoderError(f"{type(backbone.model).__name__}: a head of phrases needs a plain vocabulary projection")
    if backbone.phrases is None:
        raise EncoderError("a head of phrases needs phrases.json beside the model: train with encoder.phrases")
    matcher, embeddings = backbone.phrases
    return PhraseHead(
        backbone.projection, matcher, embeddings, activation=config.activation, pooling=config.pooling,
        candidates=config.candidates,
    )  # fmt: skip


register_head(HeadKind("phrases", "masked-LM", _make))
