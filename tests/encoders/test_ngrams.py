"""Contextual n-grams: tokens and bigrams of a text, weighed by rectified self-attention."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lsr
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.text.phrases import MARK, make_phrases, write_phrases
from lsr.types import Document

NAMES = ["the cat", "cat sat", "sparse retrieval", "dog run"]
TEXTS = ["the cat sat on the mat the cat", "sparse retrieval index", "a dog running", "walk"]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def encoder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny.save_plain(tmp_path_factory.mktemp("ngrams"))
    phrases = make_phrases(NAMES, tiny.tokenizer().backend_tokenizer)
    write_phrases(phrases, folder / "phrases.json")
    save_file({"embeddings": torch.zeros(len(phrases.names), 1)}, folder / "phrases.safetensors")
    return start_encoder("sparc", folder, device="cpu")


def attention(head: Any, first: Any, state: Any) -> float:
    q, k = head.query(first).tolist(), head.key(state).tolist()
    return max(0.0, sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q)) + head.bias.item())


@torch.no_grad()
def oracle(encoder: Any, text: str) -> dict[str, float]:
    """Weigh each token, and each bigram by the mean of its two states, one after another."""
    tower, head = encoder.document.tower, encoder.document.tower.head
    batch = tower.padded(tower.tokens([text]))
    hidden = tower.backbone(batch.input_ids, batch.attention_mask)[0]
    tokens = [encoder.terms[i] for i in batch.input_ids[0].tolist()]
    found: dict[str, float] = {}

    def note(term: str, weight: float) -> None:
        if weight > 0:
            found[term] = max(found.get(term, 0.0), weight)

    for i in range(1, len(tokens) - 1):
        note(tokens[i], attention(head.tokens, hidden[0], hidden[i]))
        pair = f"{tokens[i]} {tokens[i + 1]}"
        if pair in NAMES and not tokens[min(i + 2, len(tokens) - 1)].startswith("##"):
            note(MARK + pair, attention(head.phrases, hidden[0], (hidden[i] + hidden[i + 1]) / 2))
    return found


def test_weights_are_those_of_a_plain_oracle(encoder: Any) -> None:
    rows = encoder.encode_documents(DOCUMENTS)
    phrases = 0
    for i, text in enumerate(TEXTS):
        ids, weights = rows.row(i)
        found = {encoder.terms[term]: weight for term, weight in zip(ids.tolist(), weights.tolist(), strict=True)}
        assert found == pytest.approx(oracle(encoder, text), abs=1e-5)
        phrases += sum(name.startswith(MARK) for name in found)
    assert phrases >= 2


def test_training_gives_the_same_weights_with_a_gradient(encoder: Any) -> None:
    tower = encoder.document.tower
    batch = tower.padded(tower.tokens(TEXTS))
    whole, chosen = tower(batch), torch.tensor([5, 6, tower.head.n_own, tower.head.n_own + 1])
    output = tower.for_training(batch, chosen)
    assert torch.allclose(output.weights, whole[:, chosen])
    tower.for_training(batch).weights.sum().backward()
    assert all(value.grad is not None for value in tower.head.parameters())
    tower.for_training(tower.padded(tower.tokens(["walk"]))).weights.sum().backward()  # without a bigram


def test_saved_indexed_and_searched(encoder: Any, tmp_path: Path) -> None:
    save_encoder(encoder, tmp_path / "model")
    loaded = load_neural(tmp_path / "model", device="cpu")
    before, after = encoder.encode_documents(DOCUMENTS), loaded.encode_documents(DOCUMENTS)
    assert np.array_equal(before.term_ids, after.term_ids) and np.allclose(before.weights, after.weights)
    index = lsr.index(DOCUMENTS, tmp_path / "index", encoder=tmp_path / "model")
    query = oracle(encoder, "the cat sat")
    for hit in index.search("the cat sat"):
        document = oracle(encoder, TEXTS[int(hit.doc_id)])
        assert hit.score == pytest.approx(sum(w * document.get(t, 0) for t, w in query.items()), rel=0.02)


def test_without_phrases_tokens_alone_are_weighed(plain_folder: Path) -> None:
    encoder = start_encoder("sparc", plain_folder, device="cpu")
    assert encoder.phrase_matcher is None and encoder.document.tower.head.phrases is None
    assert encoder.encode_documents(DOCUMENTS).nnz > 0
