"""The head of contextual n-grams: weights of a text's tokens and bigrams by rectified self-attention.

Lee, Seo, Hajishirzi and Kang, "Contextualized Sparse Representations for Real-Time Open-Domain Question Answering"
(Sparc, ACL 2020, arXiv:1911.02896): the weight of the n-gram at a position is relu(q · k ÷ √d), q being of the state
that stands for what is represented, there the start of an answer, here the first position, which is the whole text's.
Unigrams and bigrams have separate projections. Two things differ: a bias lets each weight begin at about 1, and a term
that occurs several times has its largest weight instead of their sum.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig
from lsr.encoders.network.activations import ACTIVATIONS
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.text.phrases import PhraseMatcher


class _Attention(nn.Module):
    """Scores states by the first state of their text: q · k ÷ √d + bias."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.bias = nn.Parameter(torch.ones(1))

    def forward(self, first: Tensor, states: Tensor) -> Tensor:
        """Return a score of each state, float32 (n). first: the first state of its text, of the shape of `states`."""
        products = (self.query(first) * self.key(states)).sum(1) / math.sqrt(states.shape[1])
        return products.float() + self.bias.float()


class NgramHead(Head):
    """Weights of the tokens and the phrases that stand in a text; without a matcher, of tokens alone."""

    def __init__(
        self, hidden_size: int, n_tokens: int, matcher: PhraseMatcher | None, *, activation: str, pooling: str
    ) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.matcher = matcher
        self.vocab_size = n_tokens + (0 if matcher is None else len(matcher.phrases.names))
        self.tokens = _Attention(hidden_size)
        self.phrases = None if matcher is None else _Attention(hidden_size)
        self._activation = ACTIVATIONS[activation]
        self._reduce = "amax" if pooling == "max" else "sum"

    @property
    def n_own(self) -> int:
        """Number of terms that are tokens."""
        return self.n_tokens

    def forward(self, states: TokenStates) -> Tensor:
        """Return the weights of each text's own terms."""
        return self._by_term(states, activated=True, empty=0.0, reduce=self._reduce)

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the weights, and the pooled logits, −∞ where a term doesn't stand in the text."""
        if self._reduce != "amax":
            return super().for_training(states, terms)
        logits = self._by_term(states, activated=False, empty=-torch.inf, reduce="amax")
        logits = logits if terms is None else logits[:, terms]
        return self._activation(logits), logits

    def _by_term(self, states: TokenStates, *, activated: bool, empty: float, reduce: str) -> Tensor:
        rows, starts = states.rows, states.lengths.cumsum(0) - states.lengths
        literal = states.literal
        first = states.hidden[starts]
        scores = [self.tokens(first[rows[literal]], states.hidden[literal])]
        places = [rows[literal] * self.vocab_size + states.ids[literal]]
        if self.phrases is not None:
            of_text, sums, numbers = self._occurrences(states, starts)
            if len(numbers):
                scores.append(self.phrases(first[of_text], sums))
                places.append(of_text * self.vocab_size + self.n_tokens + numbers)
            else:  # so that every parameter has a gradient
                scores[0] = scores[0] + 0.0 * self.phrases(first[:1], first[:1])
        values = torch.cat(scores)
        values = self._activation(values) if activated else values
        by_term = torch.full((len(states.lengths) * self.vocab_size,), empty, device=values.device)
        by_term = by_term.scatter_reduce(0, torch.cat(places), values, reduce)
        return by_term.view(len(states.lengths), self.vocab_size)

    def _occurrences(self, states: TokenStates, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the text of each phrase that stands in one, the mean of its tokens' states, and its number."""
        assert self.matcher is not None
        found = []
        for text, ids in enumerate(states.ids.split(states.lengths.tolist())):
            start = int(starts[text])
            found += [(text, start + at.first, start + at.last, at.phrase) for at in self.matcher.find(ids.tolist())]
        table = torch.tensor(found, dtype=torch.int64, device=states.ids.device).view(-1, 4)
        lengths = table[:, 2] - table[:, 1]
        owners = torch.repeat_interleave(torch.arange(len(table), device=table.device), lengths)
        ends = lengths.cumsum(0)
        within = torch.arange(len(owners), device=table.device) - (ends - lengths)[owners]
        members = states.hidden[table[owners, 1] + within]
        means = members.new_zeros(len(table), members.shape[1]).index_add(0, owners, members) / lengths[:, None]
        return table[:, 0], means.to(members.dtype), table[:, 3]


def _make(backbone: Any, config: TowerConfig) -> NgramHead:
    of_model = backbone.model.config
    return NgramHead(
        of_model.hidden_size,
        of_model.vocab_size,
        None if backbone.phrases is None else backbone.phrases.matcher,
        activation=config.activation,
        pooling=config.pooling,
    )


register_head(HeadKind("ngrams", "hidden-states", _make))
