"""A very wide space in which the largest win: buckets of layers, binary impacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lsr
from lsr.encoders.config import EncoderConfig, TowerConfig, WideConfig
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "sparse retrieval index", "a dog running"]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]
WIDTH, ACTIVE = 50, 6


def start(folder: Path, **changes: Any) -> Any:
    wide = WideConfig(**{"layers": (1, 2), "width": WIDTH, "active": ACTIVE, **changes})
    return start_encoder(EncoderConfig("uhd", TowerConfig(head="wta", wide=wide)), folder, device="cpu")


@torch.no_grad()
def oracle(encoder: Any, text: str) -> dict[str, float]:
    """Score every dimension at every position, and sort."""
    tower = encoder.document.tower
    batch = tower.padded(tower.tokens([text]))
    output = tower.backbone.model(batch.input_ids, batch.attention_mask, output_hidden_states=True)
    found: dict[str, float] = {}
    for layer, bucket in zip((1, 2), tower.head.buckets, strict=True):
        scores = (output.hidden_states[layer][0] @ bucket.weight.T + bucket.bias).amax(0).tolist()
        best = sorted(range(WIDTH), key=lambda i: (-scores[i], i))[:ACTIVE]
        found |= {f"[{layer}:{i}]": scores[i] for i in best}
    return found


def vectors(encoder: Any) -> list[dict[str, float]]:
    rows = encoder.encode_documents(DOCUMENTS)
    return [
        {encoder.terms[term]: weight for term, weight in zip(*(part.tolist() for part in rows.row(i)), strict=True)}
        for i in range(len(rows))
    ]


def test_winners_are_those_of_a_plain_oracle(plain_folder: Path) -> None:
    for binary in (True, False):
        encoder = start(plain_folder, binary=binary)
        assert len(encoder.terms) == 2 * WIDTH and encoder.terms[WIDTH] == "[2:0]"
        for text, found in zip(TEXTS, vectors(encoder), strict=True):
            expected = oracle(encoder, text)
            assert len(found) == 2 * ACTIVE
            weights = dict.fromkeys(expected, 1.0) if binary else {k: max(v, 1e-6) for k, v in expected.items()}
            assert found == pytest.approx(weights, abs=1e-4)


def test_training_sees_scores_with_a_gradient(plain_folder: Path) -> None:
    tower = start(plain_folder).document.tower
    batch = tower.padded(tower.tokens(TEXTS))
    output = tower.for_training(batch)
    assert torch.equal(output.weights > 0, tower(batch) > 0)
    terms = torch.tensor([0, 3, WIDTH + 1])
    assert torch.allclose(tower.for_training(batch, terms).weights, output.weights[:, terms])
    output.weights.sum().backward()
    assert all(value.grad is not None for value in tower.head.parameters())


def test_saved_indexed_and_searched_by_counts(plain_folder: Path, tmp_path: Path) -> None:
    encoder = start(plain_folder)
    save_encoder(encoder, tmp_path / "model")
    loaded = load_neural(tmp_path / "model", device="cpu")
    assert vectors(loaded) == vectors(encoder)
    index = lsr.index(DOCUMENTS, tmp_path / "index", encoder=tmp_path / "model")
    query = oracle(encoder, TEXTS[0]).keys()
    hits = index.search(TEXTS[0], k=3)
    assert hits[0].doc_id == "0" and hits[0].score == 2 * ACTIVE  # exactly: whole weights are stored as they are
    for hit in hits:
        assert hit.score == len(query & oracle(encoder, TEXTS[int(hit.doc_id)]).keys())
    assert np.isclose(index.explain(TEXTS[0], k=1)[0].score, 2 * ACTIVE)


def test_spaces_that_do_not_fit(plain_folder: Path) -> None:
    for changes, message in (
        ({"layers": ()}, "different numbers"),
        ({"layers": (1, 1)}, "different numbers"),
        ({"active": 51}, "51 of 50"),
        ({"active": 0}, "0 of 50"),
    ):
        with pytest.raises(UsageError, match=message):
            start(plain_folder, **changes)
    with pytest.raises(EncoderError, match="has 2 layers"):
        start(plain_folder, layers=(3,))
    with pytest.raises(UsageError, match="'wide' describes"):
        TowerConfig(wide=WideConfig())
    with pytest.raises(UsageError, match="'wide' describes"):
        TowerConfig(head="wta")
