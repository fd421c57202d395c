"""Base of sparse and dense models: texts, tokenised and in batches through a transformer, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from tokenizers import Tokenizer
from torch import nn

from lsr.encoders.memory import give_back
from lsr.encoders.network.batching import Halving, plan
from lsr.encoders.network.token_batch import TextTokens, TokenBatch, echoed, pad, text_tokens
from lsr.encoders.text.tokenizer import TextTokenizer
from lsr.encoders.threads import limited_torch

MAX_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Tokens of a batch, padding among them, by device."""

_Rows = TypeVar("_Rows")


class TextTower(nn.Module):
    """A transformer with its tokenizer.

    backbone: token ids and mask → hidden states. prompt: put before each text. echo: see `token_batch.echoed`.
    literal_only: whether special tokens aren't scored. pad_id: token id that fills up shorter texts, never read.
    max_tokens: tokens of a batch (default: by device).
    """

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: TextTokenizer,
        *,
        prompt: str = "",
        echo: bool = False,
        literal_only: bool = False,
        pad_id: int,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._echo = echo
        self._literal_only = literal_only
        self._pad_id = pad_id
        self._max_tokens = max_tokens

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; only to be read."""
        return self._tokenizer.backend

    @property
    def prompt(self) -> str:
        """The text put before each text."""
        return self._prompt

    @property
    def pad_id(self) -> int:
        """The token id that fills up shorter texts."""
        return self._pad_id

    @property
    def text_length(self) -> int | None:
        """Tokens of a text that are read, special ones among them, each counted once; None: all."""
        return self._tokenizer.max_length

    @property
    def max_tokens(self) -> int:
        """Tokens of a batch, padding among them."""
        return self._max_tokens or MAX_TOKENS["cuda" if self.device.type == "cuda" else "cpu"]

    def tokens(self, texts: Sequence[str], *, tokenizer: TextTokenizer | None = None) -> list[TextTokens]:
        """Return the tokens of each text, prompt and special ones among them, cut to what the model reads.

        tokenizer: in place of the tower's own, to cut elsewhere.
        """
        encodings = (tokenizer or self._tokenizer).encode([self._prompt + text for text in texts])
        if self._echo:
            return [echoed(encoding) for encoding in encodings]
        return [text_tokens(encoding, literal_only=self._literal_only) for encoding in encodings]

    def padded(self, tokens: Sequence[TextTokens]) -> TokenBatch:
        """Return tokenised texts as one batch, on the CPU."""
        return pad(tokens, self._pad_id)

    def in_batches(
        self,
        texts: Sequence[str],
        names: Sequence[str],
        encode: Callable[[TokenBatch, list[str]], _Rows],
        *,
        max_tokens: int,
        max_texts: int,
    ) -> list[tuple[list[int], _Rows]]:
        """Encode texts of like length together; return the numbers of each batch's texts, and their rows.

        names: each text's name in an error. Texts of nothing but white space are in no batch.
        encode: called with a batch and its names. Where memory runs out, batches become smaller.
        """
        self.eval()
        tokens = self.tokens(texts)
        filled = [i for i, text in enumerate(texts) if text.strip() and tokens[i].literal.any()]
        groups = plan([len(tokens[i]) for i in filled], max_tokens=max_tokens, max_texts=max_texts)

        def encode_group(group: list[int]) -> _Rows:
            batch = self.padded([tokens[i] for i in group]).to(self.device)
            rows = encode(batch, [names[i] for i in group])
            if len(groups) > 1 and self.device.type == "cpu":
                give_back()
            return rows

        halving = Halving(encode_group, self._release)
        with limited_torch():
            return list(halving.run([filled[i] for i in group] for group in groups))

    def _release(self) -> None:
        give_back()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
