"""Phrases as terms beside tokens: found, scored, saved, indexed, explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lsr
from lsr.cli.searches.explain import vector_lines
from lsr.encoders.config import EncoderConfig, TowerConfig
from lsr.encoders.families import family_config
from lsr.encoders.network.token_batch import TokenBatch
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.text.phrases import MARK, PhraseMatcher, Phrases, make_phrases, read_phrases, write_phrases
from lsr.errors import EncoderError, UsageError
from lsr.query.explain.text_vector import document_vector
from lsr.query.searcher import Searcher
from lsr.types import Document

NAMES = ["the cat", "sparse retrieval", "cat sat on", "dog run"]
TEXTS = ["the cat sat on the mat", "sparse retrieval index", "a dog running", "walk"]


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a checkpoint with phrases beside it."""
    folder = tiny.save_plain(tmp_path_factory.mktemp("phrases"))
    phrases = make_phrases(NAMES, tiny.tokenizer().backend_tokenizer)
    write_phrases(phrases, folder / "phrases.json")
    torch.manual_seed(1)
    save_file({"embeddings": torch.randn(len(phrases.names), 8)}, folder / "phrases.safetensors")
    return folder


def config_of(candidates: str = "text") -> EncoderConfig:
    values = family_config("casper").to_json()
    values["document"]["candidates"] = candidates
    return EncoderConfig.from_json(values)


def test_phrases_stand_between_words(tiny: Any) -> None:
    tokenizer = tiny.tokenizer().backend_tokenizer
    matcher = PhraseMatcher(make_phrases(NAMES, tokenizer), tokenizer)
    found = {text: [span.term for span in matcher.spans(text)] for text in TEXTS}
    assert found == {
        "the cat sat on the mat": ["&the cat", "&cat sat on"],
        "sparse retrieval index": ["&sparse retrieval"],
        "a dog running": [],  # "dog run" ends within a word
        "walk": [],
    }
    (span,) = matcher.spans("A  Sparse\tretrieval!")
    assert "A  Sparse\tretrieval!"[span.start : span.end] == "Sparse\tretrieval"


def test_phrases_of_one_token_or_of_unknown_ones_are_left_out(tiny: Any) -> None:
    tokenizer = tiny.tokenizer().backend_tokenizer
    phrases = make_phrases(["cat", "the  cat", "The cat", "the zebra", "dog sat"], tokenizer)
    assert phrases.names == ("the cat", "dog sat")
    assert make_phrases(["the cat", "dog sat"], tokenizer, most=1).names == ("the cat",)
    with pytest.raises(UsageError, match="of 1 phrases none"):
        make_phrases(["cat"], tokenizer)


@pytest.mark.parametrize("candidates", ["text", "all"])
def test_weights_are_those_of_a_plain_oracle(folder: Path, candidates: str) -> None:
    encoder = start_encoder(config_of(candidates), folder, device="cpu")
    tower, head = encoder.document.tower, encoder.document.tower.head
    plain = start_encoder("splade", folder, device="cpu")
    n_tokens = len(plain.terms)
    assert encoder.terms[n_tokens:] == [MARK + name for name in NAMES]
    rows = encoder.encode_documents([Document(str(i), text) for i, text in enumerate(TEXTS)])
    of_tokens = plain.encode_documents([Document(str(i), text) for i, text in enumerate(TEXTS)])
    matcher = encoder.phrase_matcher
    assert matcher is not None
    for i, text in enumerate(TEXTS):
        ids, weights = rows.row(i)
        found = dict(zip(ids.tolist(), weights.tolist(), strict=True))
        own = dict(zip(*(part.tolist() for part in of_tokens.row(i)), strict=True))
        assert {term: w for term, w in found.items() if term < n_tokens} == pytest.approx(own)
        batch = tower.padded(tower.tokens([text]))
        hidden = tower.backbone(batch.input_ids, batch.attention_mask)[0]
        standing = {span.term for span in matcher.spans(text)}
        for number, name in enumerate(NAMES):
            vector = head.map(head.embeddings[number]).tolist()
            logit = max(sum(a * b for a, b in zip(state, vector, strict=True)) for state in hidden.tolist())
            logit += head.bias.item()
            expected = np.log1p(max(0.0, logit)) if candidates == "all" or MARK + name in standing else 0.0
            assert found.get(n_tokens + number, 0.0) == pytest.approx(expected, abs=1e-5)


def test_training_gives_the_same_weights_with_a_gradient(folder: Path) -> None:
    tower = start_encoder(config_of(), folder, device="cpu").document.tower
    batch: TokenBatch = tower.padded(tower.tokens(TEXTS))
    whole = tower(batch)
    terms = torch.tensor([5, 6, 30, tower.head.n_own, tower.head.n_own + 2])
    for chosen, expected in ((None, whole), (terms, whole[:, terms])):
        output = tower.for_training(batch, chosen)
        assert torch.allclose(output.weights, expected, atol=1e-5)
        assert output.logits is not None and output.logits.shape == expected.shape
    tower.for_training(batch).weights[:, tower.head.n_own :].sum().backward()
    assert tower.head.map.weight.grad is not None and tower.head.map.weight.grad.abs().sum() > 0
    nothing = tower.padded(tower.tokens(["walk"]))
    tower.for_training(nothing).weights.sum().backward()  # without a candidate


def test_input_alone_keeps_the_phrases(folder: Path) -> None:
    values = config_of().to_json()
    values["document"]["expansion"] = "input"
    encoder = start_encoder(EncoderConfig.from_json(values), folder, device="cpu")
    rows = encoder.encode_documents([Document("a", TEXTS[0])])
    allowed = {"the", "cat", "sat", "on", "mat", *encoder.terms[-len(NAMES) :]}
    assert {encoder.terms[i] for i in rows.row(0)[0].tolist()} <= allowed


def test_saved_indexed_searched_and_explained(folder: Path, tmp_path: Path) -> None:
    encoder = start_encoder(config_of(), folder, device="cpu")
    with torch.no_grad():
        encoder.document.tower.head.bias.fill_(3.0)
    save_encoder(encoder, tmp_path / "model")
    loaded = load_neural(tmp_path / "model", device="cpu")
    documents = [Document(str(i), text) for i, text in enumerate(TEXTS)]
    before, after = encoder.encode_documents(documents), loaded.encode_documents(documents)
    assert list(loaded.terms) == list(encoder.terms)
    assert np.array_equal(before.term_ids, after.term_ids) and np.allclose(before.weights, after.weights)
    assert loaded.description["settings"]["phrases"] == encoder.description["settings"]["phrases"]

    index = lsr.index(documents, tmp_path / "index", encoder=tmp_path / "model")
    assert len(index.search("sparse retrieval", k=4)) == 4
    searcher = Searcher(tmp_path / "index", encoder=loaded)
    vector = document_vector(searcher, "0")
    assert set(vector.keyphrases) == {"the cat", "cat sat on"}
    assert any(line.startswith("keyphrases: ") for line in vector_lines(vector, 5))
    term = next(term for term in vector.terms if term.term == "&cat sat on")
    assert term.in_text
    query = dict(zip(*_named(loaded, "cat sat on the mat"), strict=True))
    scores = {hit.doc_id: hit.score for hit in searcher.search("cat sat on the mat", k=4)}
    for number, text in enumerate(TEXTS):
        document = dict(zip(*_named(loaded, text, document=True), strict=True))
        score = sum(weight * document.get(name, 0.0) for name, weight in query.items())
        assert scores[str(number)] == pytest.approx(score, rel=0.02)  # impacts have 8 bits


def _named(encoder: Any, text: str, *, document: bool = False) -> tuple[list[str], list[float]]:
    rows = encoder.encode_documents([Document("x", text)]) if document else encoder.encode_queries([text])
    ids, weights = rows.row(0)
    return [encoder.terms[i] for i in ids.tolist()], weights.tolist()


def test_broken_phrases_are_refused(folder: Path, tmp_path: Path, copied: Any) -> None:
    for content, message in (
        ({"format": 2, "phrases": []}, "format 2"),
        ({"format": 1, "phrases": []}, "not names with lists"),
        ({"format": 1, "phrases": [["a", []]]}, "not names with lists"),
        ({"format": 1, "phrases": [["a", [5]], ["a", [6]]]}, "not names with lists"),
        ({"format": 1}, "no phrases as this program writes them"),
    ):
        (tmp_path / "p.json").write_text(json.dumps(content))
        with pytest.raises(EncoderError, match=message):
            read_phrases(tmp_path / "p.json")
    model = copied(folder)
    write_phrases(Phrases(("a", "b", "c", "d"), ((5, 6), (6, 7), (7, 8), (8, 9999))), model / "phrases.json")
    with pytest.raises(EncoderError, match="token id"):
        start_encoder(config_of(), model, device="cpu")
    write_phrases(Phrases(("a",), ((5, 6),)), model / "phrases.json")
    with pytest.raises(EncoderError, match="need a row each"):
        start_encoder(config_of(), model, device="cpu")
    (model / "phrases.json").unlink()
    with pytest.raises(EncoderError, match="needs phrases"):
        start_encoder(config_of(), model, device="cpu")
    with pytest.raises(UsageError, match="knows tokens alone"):
        EncoderConfig("x", TowerConfig(head="phrases"), "table")
