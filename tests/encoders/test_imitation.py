"""Dense vectors that imitate a sparse teacher: fitted, saved, loaded, concatenated, searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr
from lsr.encoders.converted.imitation import Imitation, imitated
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.registry import load_dense_encoder
from lsr.errors import EncoderError, UsageError
from lsr.training.data.example import Example
from lsr.training.imitation.fit import ImitationSettings, fit_imitation
from lsr.training.imitation.make import make_imitation
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "sparse retrieval index", "a dog running", "walk the dog", "tree house"]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]


class ByIndex:
    """A teacher that knows which document belongs to a query."""

    name = "by index"

    def scores(self, queries: list[str], documents: list[Document], wanted: Any = None) -> Any:
        return np.array([[20.0 * (q == d.text.split()[-1]) for d in documents] for q in queries], np.float32)


def test_fitting_ranks_as_the_teacher_does() -> None:
    rng = np.random.default_rng(0)
    queries, documents = rng.normal(size=(2, 60, 16)).astype(np.float32)

    def teacher(chosen: Any) -> Any:  # the document of a query is another than that of the same row
        return 20.0 * (np.roll(np.arange(60), 1)[chosen][:, None] == chosen[None, :]).astype(np.float32)

    settings = ImitationSettings(size=16, steps=300, batch_size=60, learning_rate=1e-2)
    fitted = fit_imitation(queries, documents, teacher, settings)
    scores = imitated(queries, fitted.query) @ imitated(documents, fitted.document).T
    share = float((scores.argmax(1) == np.roll(np.arange(60), 1)).mean())
    before = float(((queries @ documents.T).argmax(1) == np.roll(np.arange(60), 1)).mean())
    assert before < 0.2 < 0.6 < share
    again = fit_imitation(queries, documents, teacher, settings)
    assert np.array_equal(fitted.query, again.query)


@pytest.mark.parametrize("weight", [0.25, None])
def test_an_imitation_is_a_dense_encoder_by_its_name(weight: float | None, plain_folder: Path, tmp_path: Path) -> None:
    dense = load_dense(str(plain_folder))
    examples = [Example(text.split()[-1], (document,)) for text, document in zip(TEXTS, DOCUMENTS, strict=True)]
    folder = tmp_path / "spar"
    make_imitation(folder, examples, dense, ByIndex(), weight=weight, settings=ImitationSettings(size=8, steps=5))
    encoder = load_dense_encoder(f"spar:{folder}")
    found = encoder.encode_dense_queries(["dog"]) @ encoder.encode_dense_documents(DOCUMENTS).T
    assert encoder.dimension == 8 + (0 if weight is None else dense.dimension)
    from safetensors.numpy import load_file

    layers = Imitation(**load_file(folder / "spar.safetensors"))
    q, d = dense.encode_dense_queries(["dog"]), dense.encode_dense_documents(DOCUMENTS)
    alone = imitated(q, layers.query) @ imitated(d, layers.document).T
    assert np.allclose(found, alone if weight is None else q @ d.T + weight * alone, atol=1e-4)

    index = lsr.index(DOCUMENTS, tmp_path / "index", encoder="bm25", dense=f"spar:{folder}")
    hits = index.search("dog", hybrid="union", k=5)
    assert {hit.doc_id for hit in hits} == set("01234")
    assert [hit.doc_id for hit in lsr.open(tmp_path / "index").search("dog", hybrid="union", k=5)] == [
        hit.doc_id for hit in hits
    ]
    config = json.loads((folder / "spar.json").read_text())
    for broken, message in (({**config, "format": 9}, "format 9"), ({**config, "weight": -1}, "weight is -1")):
        (folder / "spar.json").write_text(json.dumps(broken))
        with pytest.raises(EncoderError, match=message):
            load_dense_encoder(f"spar:{folder}")


def test_what_can_not_be_fitted(tmp_path: Path) -> None:
    one = np.ones((1, 4), np.float32)
    with pytest.raises(UsageError, match="two examples or more"):
        fit_imitation(one, one, lambda _: one)
    with pytest.raises(UsageError, match="steps is 0"):
        ImitationSettings(steps=0)
    with pytest.raises(EncoderError, match="no imitation"):
        load_dense_encoder(f"spar:{tmp_path}")
    with pytest.raises(EncoderError, match="don't fit"):
        Imitation(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
