"""The mean of two models' weights, tied ones and query tables included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lsr.encoders.families import family_config
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.errors import UsageError
from lsr.training.model.average import Average, average


def save(folder: Path, model: Path, seed: int, family: str = "inference-free") -> Path:
    """Save an encoder of random weights."""
    encoder = start_encoder(family_config(family), model, device="cpu")
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in encoder.document.tower.parameters():
            value.copy_(torch.randn_like(value))
    if family == "inference-free":
        encoder.query.weights = np.random.default_rng(seed).random(len(encoder.query.weights), np.float32)
    save_encoder(encoder, folder)
    return folder


def test_all_weights_are_mixed_once(random_model: Path, tmp_path: Path) -> None:
    places = [save(tmp_path / str(seed), random_model, seed) for seed in (1, 2)]
    first, second, mixed = load_neural(places[0]), load_neural(places[1]), load_neural(places[0])
    average(mixed, Average(second, 0.25))
    states = [one.document.tower.state_dict() for one in (first, second, mixed)]
    assert any(not torch.equal(value, states[1][name]) for name, value in states[0].items())
    for name, value in states[0].items():
        if value.is_floating_point():
            assert torch.allclose(states[2][name], 0.75 * value + 0.25 * states[1][name], atol=1e-6), name
    expected = 0.75 * first.query.weights + 0.25 * second.query.weights
    assert mixed.query.weights == pytest.approx(expected)


def test_what_can_not_be_mixed_is_refused(random_model: Path, tmp_path: Path) -> None:
    first = load_neural(save(tmp_path / "a", random_model, 1))
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(UsageError, match="has to be above 0 and below 1"):
            Average(first, share)
    shorter = load_neural(save(tmp_path / "b", random_model, 2))
    head = next(shorter.document.tower.backbone.children())
    for name, child in list(head.named_children())[:1]:
        setattr(head, name, torch.nn.Identity())
        assert child is not None
    with pytest.raises(UsageError, match="same names and shapes"):
        average(first, Average(shorter))
