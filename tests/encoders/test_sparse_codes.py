"""Sparse codes of dense vectors: the largest values of a hidden layer, fitted so that they stand for the vector."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.converted.fit_codes import FittingSettings, fit_codes
from lsr.encoders.converted.sparse_codes import SparseAutoencoder, read_codes, reconstruction, save_codes
from lsr.encoders.dense.base import dense_description
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.registry import load_encoder, open_document_encoder, open_query_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document

SMALL = FittingSettings(n_codes=64, n_active=4, steps=300, batch_size=64, learning_rate=5e-3)


def autoencoder(n_codes: int, dimension: int, n_active: int, seed: int = 0) -> SparseAutoencoder:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=shape).astype(np.float32) for shape in ((n_codes, dimension), n_codes, dimension)]
    decoder = rng.normal(size=(n_codes, dimension)).astype(np.float32)
    return SparseAutoencoder(*parts, decoder, n_active)


@settings(deadline=None)
@given(n_codes=st.integers(1, 12), dimension=st.integers(1, 5), n_active=st.integers(1, 12), seed=st.integers(0, 50))
def test_codes_are_the_largest_positive_values(n_codes: int, dimension: int, n_active: int, seed: int) -> None:
    model = autoencoder(n_codes, dimension, min(n_active, n_codes), seed)
    vectors = np.random.default_rng(seed + 1).normal(size=(4, dimension)).astype(np.float32)
    vectors[2] = 0
    codes = model.codes(vectors)
    codes.check()
    assert len(codes) == 4 and codes.vocab_size == n_codes and len(codes.row(2)[0]) == 0
    for i in (0, 1, 3):
        values = model.encoder @ (vectors[i] - model.centre) + model.bias
        expected = sorted((float(v) for v in values if v > 0), reverse=True)[: model.n_active]
        term_ids, weights = codes.row(i)
        assert weights == pytest.approx(values[term_ids], abs=1e-5)
        assert sorted(weights.tolist(), reverse=True) == pytest.approx(expected, abs=1e-5)
        decoded = weights @ model.decoder[term_ids] + model.centre
        assert model.reconstruct(codes)[i] == pytest.approx(decoded, abs=1e-4)
    assert len(model.codes(vectors[:0])) == 0


@settings(deadline=None, max_examples=30)
@given(n_codes=st.integers(2, 12), dimension=st.integers(2, 5), n_active=st.integers(1, 4), seed=st.integers(0, 50))
def test_pursuit_takes_codes_one_after_another(n_codes: int, dimension: int, n_active: int, seed: int) -> None:
    given_one = autoencoder(n_codes, dimension, min(n_active, n_codes), seed)
    units = given_one.decoder / np.linalg.norm(given_one.decoder, axis=1, keepdims=True)
    model = replace(given_one, decoder=units, pursuit=True)
    vectors = np.random.default_rng(seed + 1).normal(size=(3, dimension)).astype(np.float32)
    codes = model.codes(vectors)
    codes.check()
    for i, vector in enumerate(vectors):
        rest, expected = (vector - model.centre).astype(np.float64), dict[int, float]()
        for _ in range(model.n_active):
            products = units @ rest
            best = int(products.argmax())
            if products[best] <= 0:
                break
            expected[best] = expected.get(best, 0.0) + products[best]
            rest = rest - products[best] * units[best]
        term_ids, weights = codes.row(i)
        assert dict(zip(term_ids.tolist(), weights.tolist(), strict=True)) == pytest.approx(expected, abs=1e-3)
        assert model.reconstruct(codes)[i] == pytest.approx(vector - rest, abs=1e-3)


def test_nested_codes_stand_for_vectors_by_their_first_quarter(tmp_path: Path) -> None:
    vectors = mixtures(300)
    nested = fit_codes(vectors, replace(SMALL, nested=True))
    plain = fit_codes(vectors, SMALL)
    assert nested.first(16).n_codes == 16
    assert reconstruction(nested.first(16), vectors) > reconstruction(plain.first(16), vectors)
    with pytest.raises(EncoderError, match="the first 3 of 64"):
        nested.first(3)
    save_codes(tmp_path, replace(nested, pursuit=True), {"kind": "dense"})
    assert read_codes(tmp_path)[0].pursuit


def mixtures(n: int) -> npt.NDArray[np.float32]:
    """Unit vectors made of two of twenty directions each."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(20, 16))
    rows = np.stack([directions[rng.choice(20, 2, replace=False)].sum(axis=0) for _ in range(n)])
    found: npt.NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


def test_fitting_finds_what_vectors_are_made_of() -> None:
    vectors = mixtures(800)
    steps: list[int] = []
    fitted = fit_codes(vectors[:600], SMALL, advance=steps.append)
    assert sum(steps) == SMALL.steps
    untrained = fit_codes(vectors[:600], replace(SMALL, steps=0))
    unseen = reconstruction(fitted, vectors[600:])
    assert unseen > 0.8 > reconstruction(untrained, vectors[600:]) + 0.3
    assert np.linalg.norm(fitted.decoder, axis=1) == pytest.approx(1, abs=1e-3)
    codes = fitted.codes(vectors[600:])
    assert 0 < codes.nnz / len(codes) <= 4
    again = fit_codes(vectors[:600], SMALL)
    assert np.array_equal(again.encoder, fitted.encoder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_codes": 0}, "n_codes is 0"),
        ({"steps": -1}, "steps is -1; it must be at least 0"),
        ({"n_active": 20}, "20 active of 64 codes; give 16 at most, or 80 codes"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"contrast": float("nan")}, "contrast is nan"),
    ],
)
def test_settings_outside_their_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **values)


def test_vectors_that_nothing_can_be_fitted_to() -> None:
    with pytest.raises(UsageError, match=r"vectors of shape \(1, 16\); give two or more"):
        fit_codes(mixtures(1), SMALL)
    with pytest.raises(EncoderError, match="NaN or infinity"):
        fit_codes(mixtures(10) * np.float32(np.nan), SMALL)
    with pytest.raises(EncoderError, match=r"vectors of shape \(2, 3\), but the codes were fitted to 5 numbers"):
        autoencoder(6, 5, 2).codes(np.zeros((2, 3), np.float32))


@pytest.fixture
def saved(tmp_path: Path, plain_folder: Path) -> Path:
    dense = load_dense(plain_folder)
    folder = tmp_path / "codes"
    save_codes(folder, autoencoder(48, dense.dimension, 5), dense_description(dense), steps=0)
    return folder


def test_codes_are_an_encoder_by_its_name(saved: Path, plain_folder: Path, tmp_path: Path) -> None:
    encoder = load_encoder(f"codes:{saved}")
    dense = load_dense(plain_folder)
    documents = [Document("a", "the cat sat", title="dog"), Document("b", "")]
    codes = encoder.encode_documents(documents)
    expected = read_codes(saved)[0].codes(dense.encode_dense_documents(documents))
    assert np.array_equal(codes.term_ids, expected.term_ids) and np.array_equal(codes.weights, expected.weights)
    assert len(encoder.terms) == 48 == codes.vocab_size and encoder.corpus_weighting is None
    description: Any = json.loads(json.dumps(dict(encoder.description)))
    assert open_document_encoder(description, encoder.terms).description == encoder.description
    side = tmp_path / "side"
    side.mkdir()
    encoder.save_query_side(side)
    # An index's vocabulary may hold some of the codes only, in another order.
    held = [f"[code {i}]" for i in range(47, 10, -1)]
    lookup = {term: i for i, term in enumerate(held)}.get
    query = open_query_encoder(description, side, lookup, len(held)).encode_queries(["a cat", ""])
    (term_ids, weights), (nothing, _) = query.row(0), query.row(1)
    expected_ids, expected_weights = encoder.encode_queries(["a cat"]).row(0)
    known = {47 - int(i): float(w) for i, w in zip(expected_ids, expected_weights, strict=True) if i > 10}
    found = dict(zip(term_ids.tolist(), weights.tolist(), strict=True))
    assert set(found) == set(known) and len(nothing) == 0
    assert all(found[i] == pytest.approx(known[i], abs=1e-3) for i in known)


def test_broken_codes_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no codes.json; 'lsr codes' makes them"):
        load_encoder(f"codes:{tmp_path / 'nothing'}")
    config = json.loads((saved / "codes.json").read_text())
    (saved / "codes.json").write_text(json.dumps({**config, "n_active": 49}))
    with pytest.raises(EncoderError, match="49 active of 48 codes"):
        load_encoder(f"codes:{saved}")
    (saved / "codes.json").write_text(json.dumps({**config, "format": 2}))
    with pytest.raises(EncoderError, match="has format 2, but this program reads 1"):
        load_encoder(f"codes:{saved}")
    changed = {**config, "dense": {**config["dense"], "revision": "sha256:0"}}
    (saved / "codes.json").write_text(json.dumps(changed))
    with pytest.raises(EncoderError, match="revision"):
        load_encoder(f"codes:{saved}")
    (saved / "codes.safetensors").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="no safetensors file"):
        load_encoder(f"codes:{saved}")
