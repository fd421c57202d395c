"""Queries that a language model writes for documents, sampled.

Encoder and decoder: Nogueira and Lin, "From doc2query to docTTTTTquery" (2019), with the sampling of Fan et al. among
the ten likeliest tokens. A decoder with a prompt: Basnet et al., "DeeperImpact: Optimizing Sparse Learned Index
Structures" (2024, arXiv:2405.17093).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from lsr.encoders.memory import give_back
from lsr.encoders.network.batching import Halving, plan
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.load_model import Placement
from lsr.encoders.pretrained.transformers_checkpoint import (
    check_ids_of,
    is_encoder_decoder,
    read_model,
    read_tokenizer_of,
    token_limit,
)
from lsr.encoders.text.tokenizer import clean, tokenizer_hash
from lsr.encoders.threads import limited_torch
from lsr.errors import EncoderError, UsageError
from lsr.indexer.corpus.expansions.files import Expanded
from lsr.types import Document

TEXT = "{text}"
"""Place of a document's text in a prompt."""
DECODER_PROMPT = "Passage: {text}\nA question that the passage answers: "
"""Default prompt of models without an encoder."""
TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 1 << 16}
"""Tokens of a batch, its copies and what they may generate among them, by device."""
UNLIMITED_INPUT = 512
"""Tokens of a document where nothing limits them, as of T5."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of generated queries.

    per_document: queries of a document. top_k: likeliest tokens that one is drawn from. temperature: divisor of
    logits. max_new_tokens: tokens of a query. max_length: tokens of a document (default: as many as the model reads).
    prompt: text around `{text}`, the document's (default: the text alone; of decoders DECODER_PROMPT). seed: of draws.
    """

    per_document: int = 5
    top_k: int = 10
    temperature: float = 1.0
    max_new_tokens: int = 32
    max_length: int | None = None
    prompt: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their range."""
        for name in ("per_document", "top_k", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"expansion: {name} is {getattr(self, name)}, but has to be 1 or more")
        if not 0 < self.temperature < 100:
            raise UsageError(f"expansion: temperature is {self.temperature}, but has to be above 0 and below 100")
        if self.prompt is not None and self.prompt.count(TEXT) != 1:
            raise UsageError(f"expansion: the prompt {self.prompt!r:.80} has to hold {TEXT} once, for the document")


class LanguageModelGenerator:
    """Queries of an encoder-decoder or a decoder; made by `load_generator`. limit: tokens that it reads, None: any."""

    def __init__(
        self, model: Any, tokenizer: Any, name: str, revision: str, sampling: Sampling, placement: Placement
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._placement = placement
        self._is_decoder = not model.config.is_encoder_decoder
        self._prompt = sampling.prompt or (DECODER_PROMPT if self._is_decoder else TEXT)
        self._name, self._revision = name, revision
        tokenizer.padding_side = "left" if self._is_decoder else "right"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        self.text_length = self._room()

    @property
    def description(self) -> Mapping[str, Any]:
        """The model, its data type and the settings of sampling."""
        settings = {**asdict(self._sampling), "prompt": self._prompt, "dtype": str(self._placement.dtype)}
        return {
            "kind": "language-model",
            "name": self._name,
            "revision": self._revision,
            "tokenizer_hash": tokenizer_hash(self._tokenizer.backend_tokenizer),
            "settings": settings,
        }

    @torch.inference_mode()
    def generate(self, documents: Sequence[Document]) -> list[Expanded]:
        """Return sampled queries of a window of documents; those that repeat or are empty are left out."""
        prompts = [self._prompt.replace(TEXT, self._shortened(clean(d.full_text))) for d in documents]
        encoded = self._tokenizer(prompts)["input_ids"]
        n_copies, n_new = self._sampling.per_document, self._sampling.max_new_tokens
        found: list[tuple[str, ...]] = [()] * len(documents)

        def sample(group: list[int]) -> list[list[str]]:
            # Drawn by the group's documents, so that halved batches and resumed runs draw their own numbers.
            torch.manual_seed(_seed_of(self._sampling.seed, [documents[i].doc_id for i in group]))
            return self._sampled([encoded[i] for i in group])

        device = "cuda" if self._placement.device.type == "cuda" else "cpu"
        max_tokens = (self._placement.max_tokens or TOKENS_AT_ONCE[device]) // n_copies
        lengths = [len(ids) + n_new for ids in encoded]
        cuda = [self._placement.device] if device == "cuda" else []
        with limited_torch(), torch.random.fork_rng(devices=cuda):
            for group, texts in Halving(sample, give_back).run(plan(lengths, max_tokens=max_tokens, max_texts=256)):
                for i, some in zip(group, texts, strict=True):
                    found[i] = tuple(dict.fromkeys(text for text in some if text))
        return [Expanded(d.doc_id, texts, None) for d, texts in zip(documents, found, strict=True)]

    def _sampled(self, ids: Sequence[Sequence[int]]) -> list[list[str]]:
        batch = self._tokenizer.pad({"input_ids": list(ids)}, return_tensors="pt").to(self._placement.device)
        n = self._sampling.per_document
        drawn = self._model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            num_beams=1,
            top_k=self._sampling.top_k,
            top_p=1.0,
            temperature=self._sampling.temperature,
            num_return_sequences=n,
            max_new_tokens=self._sampling.max_new_tokens,
            pad_token_id=self._tokenizer.pad_token_id,
        )
        if self._is_decoder:
            drawn = drawn[:, batch["input_ids"].shape[1] :]
        texts = self._tokenizer.batch_decode(drawn, skip_special_tokens=True)
        lines = [next((line for line in map(_plain, text.splitlines()) if line), "") for text in texts]
        return [lines[i : i + n] for i in range(0, len(lines), n)]

    def _room(self) -> int:
        """Return how many tokens of a document are read, beside the prompt and, of decoders, the answer."""
        limit = token_limit(self._model, self._tokenizer)
        around = len(self._tokenizer(self._prompt.replace(TEXT, ""))["input_ids"])
        room = UNLIMITED_INPUT if limit is None else limit - around
        if self._is_decoder and limit is not None:
            room -= self._sampling.max_new_tokens
        if room < 1:
            raise UsageError(
                f"expansion: of the {limit} tokens that {self._name} reads, the prompt takes {around} and an answer "
                f"{self._sampling.max_new_tokens}: nothing is left for a document; shorten them"
            )
        return min(room, self._sampling.max_length or room)

    def _shortened(self, text: str) -> str:
        encoding = self._tokenizer.backend_tokenizer.encode(text[: 64 * self.text_length], add_special_tokens=False)
        ends = [end for _, end in encoding.offsets]
        return text if len(ends) <= self.text_length else text[: ends[self.text_length - 1]]


def load_generator(
    name_or_path: str | Path, sampling: Sampling | None = None, *, device: str | None = None, dtype: str | None = None
) -> LanguageModelGenerator:
    """Load a model that writes queries: an encoder-decoder such as T5, or a decoder such as Llama.

    device, dtype: as of sparse encoders. Raises EncoderError if it can't be loaded, without pickled weights or code.
    """
    source = locate(name_or_path)
    placement = Placement.of(device, dtype)
    task = "seq2seq-LM" if is_encoder_decoder(source.folder) else "causal-LM"
    model = read_model(source.folder, task, placement.dtype).to(placement.device)
    if not hasattr(model, "generate"):
        raise EncoderError(f"{source.name}: {type(model).__name__} writes no text: take a seq2seq model or a decoder")
    tokenizer = read_tokenizer_of(source.folder)
    check_ids_of(tokenizer, model, source.folder)
    revision = source.commit or hash_of_weights(sorted(source.folder.glob("*.safetensors")))
    return LanguageModelGenerator(model, tokenizer, source.name, revision, sampling or Sampling(), placement)


def _seed_of(seed: int, doc_ids: Sequence[str]) -> int:
    text = "\x1f".join([str(seed), *doc_ids]).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "little")


def _plain(text: str) -> str:
    return " ".join(text.split())
