"""A new head, a new family and a new kind of encoder register themselves from one module each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lsr.encoders import config, families, registry
from lsr.encoders.config import EncoderConfig, TowerConfig
from lsr.encoders.families import Family, register_family
from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.network.heads import base
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import EncoderKind, QuerySide, load_encoder, register
from lsr.encoders.text.term_spans import AnalysedWords, TermFinder
from lsr.errors import EncoderError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.update import add_documents
from lsr.io.folder import Folder
from lsr.query.query_encoders import QueryEncoders
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

DOCUMENTS = [Document("cat", "the cat sat on the mat"), Document("dog", "dogs run on a tree")]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after each test what it registered."""
    for place, name in ((config, "HEADS"), (families, "FAMILIES"), (registry, "_KINDS"), (base, "_KINDS")):
        for key in set(getattr(place, name)) | {"first", "first-family", "letters"}:
            kept = getattr(place, name)
            if key in kept:
                monkeypatch.setitem(kept, key, kept[key])
            else:
                monkeypatch.setitem(kept, key, None)
                monkeypatch.delitem(kept, key)


class FirstHead(Head):
    """Scores each of the text's own tokens from the text's first hidden state."""

    literal_only = True

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.layer = nn.Linear(hidden_size, vocab_size)

    def forward(self, states: TokenStates) -> Tensor:
        starts = states.lengths.cumsum(0) - states.lengths
        scores = torch.relu(self.layer(states.hidden[starts]).float())
        mask = torch.zeros_like(scores)
        mask[states.rows, states.ids] = 1
        return scores * mask


def make_first_head(backbone: Any, config: TowerConfig) -> FirstHead:
    assert config.head == "first"
    return FirstHead(backbone.model.config.hidden_size, backbone.model.config.vocab_size)


def test_a_head_that_registers_itself_is_begun_saved_loaded_and_searched(plain_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="head is 'first', but has to be one of mlm"):
        TowerConfig(head="first")
    register_head(HeadKind("first", "hidden-states", make_first_head))
    begun = start_encoder(EncoderConfig("mine", TowerConfig(head="first")), plain_folder)
    with torch.no_grad():
        begun.document.tower.head.layer.weight.mul_(0.01)
        begun.document.tower.head.layer.bias.fill_(1.0)
    expected = begun.encode_documents(DOCUMENTS)
    assert np.diff(expected.indptr).min() > 0
    save_encoder(begun, tmp_path / "model")
    again = load_encoder(tmp_path / "model")
    rows = again.encode_documents(DOCUMENTS)
    assert rows.term_ids.tolist() == expected.term_ids.tolist()
    assert np.allclose(rows.weights, expected.weights, atol=1e-5)
    index_documents(DOCUMENTS, tmp_path / "index", again)
    assert Searcher(tmp_path / "index").search("cat")[0].doc_id == "cat"


def test_a_family_that_registers_itself_is_what_a_checkpoint_is_read_as(plain_folder: Path) -> None:
    with pytest.raises(UsageError, match="no family 'first-family'"):
        load_neural(plain_folder, family="first-family")
    parts = EncoderConfig("first-family", TowerConfig(pooling="sum", activation="relu"), "binary")
    register_family(Family(parts, "by the model", "arXiv:0000.00000"))
    encoder = load_neural(plain_folder, family="first-family")
    assert encoder.description["kind"] == "first-family" and encoder.config.document == parts.document
    assert set(encoder.encode_queries(["cat sat"]).weights.tolist()) == {1.0}


class Letters:
    """Texts as the letters that they have: a kind of encoder in a few lines."""

    terms = tuple("abcdefghijklmnopqrstuvwxyz")
    corpus_weighting = None

    def __init__(self, name: str) -> None:
        self.description: Mapping[str, Any] = {
            "kind": "letters", "name": f"letters:{name}", "revision": "1", "query_side": "letters", "settings": {},
        }  # fmt: skip

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        return self.encode_queries([document.full_text for document in documents])

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        rows = [{self.terms.index(c): 1.0 for c in set(text.lower()) if c in self.terms} for text in texts]
        return SparseBatch.from_rows(rows, len(self.terms))

    def save_query_side(self, folder: Path) -> None:
        (folder / "letters.json").write_text("{}")


def open_letters(description: Mapping[str, Any], terms: Sequence[str], **options: Any) -> Letters:
    return Letters(str(description["name"]).removeprefix("letters:"))


def open_letter_queries(description: Mapping[str, Any], side: QuerySide) -> Letters:
    with (Folder.of(side.files) / "letters.json").open() as file:
        assert json.load(file) == {} and side.lookup("b") == 1
    return Letters("")


def find_letters(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    return AnalysedWords(AnalyserSettings("none", "none"))


LETTERS = EncoderKind(
    "letters", usage="letters:NAME", load=Letters, open_documents=open_letters, open_queries=open_letter_queries,
    find_terms=find_letters,
)  # fmt: skip


def test_a_kind_that_registers_itself_is_loaded_indexed_added_to_and_searched(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no encoder 'letters:latin'"):
        load_encoder("letters:latin")
    register(LETTERS)
    encoder = load_encoder("letters:latin")
    assert encoder.description["name"] == "letters:latin"
    with pytest.raises(UsageError, match="encoder letters:latin: got an unexpected keyword argument 'device'"):
        load_encoder("letters:latin", device="cpu")
    with pytest.raises(EncoderError, match=r"no encoder 'letters'.* letters:NAME"):
        load_encoder("letters")
    index_documents(DOCUMENTS, tmp_path / "index", encoder)
    add_documents([Document("fox", "jumps over x y z")], tmp_path / "index")
    searcher = Searcher(tmp_path / "index")
    assert searcher.search("zyx")[0].doc_id == "fox"
    assert searcher.explain("m", k=1).hits[0].hit.doc_id == "cat"
    fitted = QueryEncoders(StoredIndex.open(tmp_path / "index"), encoder=encoder).sparse
    assert fitted.encode_queries(["b"]).term_ids.tolist() == [1]
