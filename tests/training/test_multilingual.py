"""Parallel texts of gettext's catalogues, and an XLM-R-like model from its start to a search."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.encoders.registry import load_encoder
from lsr.errors import BadDocumentError, UsageError
from lsr.eval.data.datasets import load_dataset
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher
from lsr.training.config.config import make_config
from lsr.training.data.example import Example
from lsr.training.data.read_examples import read_examples
from lsr.training.multilingual.backbone import BackboneSettings, make_backbone, sentence_embeddings
from lsr.training.multilingual.catalogues import parallel_texts, read_catalogue
from lsr.training.multilingual.make import PAIRS, TESTS, TEXTS, Parts, main, write_parts
from lsr.training.train import train
from lsr.types import Document

N_TERMS = 250_002
"""As many as XLM-R has."""
ENGLISH, GERMAN = ("cat", "dog", "bread", "river", "tree", "stone"), ("Katze", "Hund", "Brot", "Fluss", "Baum", "Stein")

pytestmark = pytest.mark.usefixtures("without_plots")


def catalogue(messages: Mapping[str, str], order: str = "<") -> bytes:
    """Return a `.mo` file, written by the manual."""
    texts = [*map(str.encode, messages), *map(str.encode, messages.values())]
    n, head = len(messages), 28
    offsets = head + 16 * n + np.cumsum([0, *(len(text) + 1 for text in texts)])
    table = b"".join(struct.pack(f"{order}2I", len(t), o) for t, o in zip(texts, offsets.tolist(), strict=False))
    numbers = struct.pack(f"{order}7I", 0x950412DE, 0, n, head, head + 8 * n, 0, head + 16 * n)
    return numbers + table + b"".join(text + b"\0" for text in texts)


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_of_a_catalogue(order: str, tmp_path: Path) -> None:
    messages = {
        "": "Content-Type: text/plain; charset=UTF-8\n",
        "menu\x04the file is not here": "die Datei ist nicht hier",
        "one file was read\0%d files were read": "eine Datei gelesen\0%d Dateien gelesen",
        "too short": "zu kurz",
        "this stays as it is": "this stays as it is",
    }
    (tmp_path / "a.mo").write_bytes(catalogue(messages, order))
    assert len(list(read_catalogue(tmp_path / "a.mo"))) == 4
    found = parallel_texts([tmp_path / "a.mo"])
    assert found == {"the file is not here": "die Datei ist nicht hier", "one file was read": "eine Datei gelesen"}


def test_what_is_no_catalogue_is_refused_and_other_encodings_are_skipped(tmp_path: Path) -> None:
    whole = catalogue({"the file is not here": "Größe der Datei"})
    (tmp_path / "a.mo").write_bytes(whole.replace("Größe".encode(), b"Gr\xf6\xdfe.."))
    assert not list(read_catalogue(tmp_path / "a.mo"))
    for broken, match in ((b"PK\3\4", "no gettext catalogue"), (whole[:20], "broken"), (whole[:-8], "behind the file")):
        (tmp_path / "b.mo").write_bytes(broken)
        with pytest.raises(BadDocumentError, match=match):
            list(read_catalogue(tmp_path / "b.mo"))


def test_no_message_trains_and_tests(tmp_path: Path) -> None:
    texts = {f"message number {i} of all": f"Meldung {i} von allen" for i in range(200)}
    sentences = write_parts(tmp_path, {"de": texts}, Parts(one_in=5, n_queries=10, n_documents=60))
    trained = {example.query for example in read_examples([str(tmp_path / PAIRS)])}
    dataset = load_dataset(tmp_path / TESTS / "en-de")
    assert len(dataset.queries) == 10 and len(list(dataset.documents())) == 60
    texts_for_a_head = (tmp_path / TEXTS).read_text().splitlines()
    assert 0 < len(texts_for_a_head) <= 2 * len(trained)
    assert not trained & set(dataset.queries.values()) and trained == {one[0] for one in sentences}
    of = {document.doc_id: document.text for document in dataset.documents()}
    for query_id, judged in dataset.qrels.items():
        assert [of[doc_id] for doc_id in judged] == [texts[dataset.queries[query_id]]]
    with pytest.raises(UsageError, match="too few"):
        write_parts(tmp_path / "other", {"xx": {}}, Parts())


def test_words_of_the_same_sentences_have_like_vectors() -> None:
    rng = np.random.default_rng(0)
    ideas = [rng.choice(20, 3, replace=False) for _ in range(300)]
    sentences = [[idea.tolist(), (20 + idea).tolist()] for idea in ideas]
    vectors = sentence_embeddings(sentences, 41, BackboneSettings(size=16))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    nearest = np.argmax(vectors[:20] @ vectors[20:40].T, axis=1)
    assert np.mean(nearest == np.arange(20)) == 1


def test_a_folder_for_trainings_across_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.choice(6, 4, replace=False) for _ in range(200)]
    messages = {" ".join(ENGLISH[i] for i in row): " ".join(GERMAN[i] for i in row) for row in rows}
    place = tmp_path / "locale" / "de" / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "a.mo").write_bytes(catalogue(messages))
    given = [str(tmp_path / "out"), "de", "--catalogues", str(tmp_path / "locale"), "--terms", "120", "--size", "16"]
    assert main(given) == 0
    config = json.loads((tmp_path / "out" / "backbone" / "config.json").read_text())
    assert config["model_type"] == "xlm-roberta" and config["hidden_size"] == 16
    assert main([str(tmp_path / "out"), "fr", "--catalogues", str(tmp_path / "locale")]) != 0
    assert "language 'fr': 0 messages" in capsys.readouterr().err


def save_model(folder: Path, n_terms: int) -> Path:
    """Save a random XLM-R-like model with so many pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForMaskedLM

    words = [f"▁{word}" for word in (*ENGLISH, *GERMAN)]
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((word, -1.0) for word in words)]
    pieces += [(f"▁w{i}", -9.0) for i in range(n_terms - 1 - len(pieces))]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("<mask>", 0.0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=32, **{f"{name}_token": token for name, token in names.items()}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=n_terms, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16,
        max_position_embeddings=34, initializer_range=0.5, pad_token_id=1, type_vocab_size=1,
    )  # fmt: skip
    model = XLMRobertaForMaskedLM(config)
    with torch.no_grad():
        model.lm_head.bias.fill_(-6.0)  # some hundred terms a text, as a trained model has
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("n_terms", [20_000, pytest.param(N_TERMS, marks=pytest.mark.large)])
def test_pieces_are_trained_indexed_searched_and_explained(n_terms: int, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "encoder": {"start": str(save_model(tmp_path / "start", n_terms)), "family": "splade", "dropout": 0.0},
        "loss": {"infonce": {"weight": 1.0}},
        "sparsity": {"documents": {"target": 400, "ramp": 1}, "max_terms": 300_000},
        "train": {"steps": 4, "batch_size": 4, "learning_rate": 1e-2, "log_every": 1, "precision": "float32"},
    }
    rng = np.random.default_rng(0)
    rows = [rng.choice(6, 2, replace=False) for _ in range(12)]
    examples = [
        Example(" ".join(ENGLISH[i] for i in row), (Document(f"d{n}", " ".join(GERMAN[i] for i in row)),))
        for n, row in enumerate(rows)
    ]
    result = train(make_config(values), tmp_path / "run", examples=examples)
    encoder = load_encoder(result.model, top_k=300)
    documents = [example.documents[0] for example in examples]
    index_documents(documents, tmp_path / "index", encoder)
    searcher = Searcher(tmp_path / "index", encoder=encoder)
    assert len(encoder.terms) == n_terms

    vectors = encoder.encode_documents(documents)
    query = encoder.encode_queries(["cat bread"])
    wanted = dict(zip(query.term_ids.tolist(), query.weights.tolist(), strict=True))
    exact = [sum(wanted.get(t, 0.0) * w for t, w in zip(*row, strict=True)) for row in vectors]
    hits = searcher.search("cat bread", k=12)
    found = [int(hit.doc_id[1:]) for hit in hits]
    # Impacts are bytes: a document's score is at most a hundredth off.
    assert [hit.score for hit in hits] == pytest.approx([exact[i] for i in found], rel=0.01)
    assert sorted(found[:3]) == sorted(np.argsort(exact)[::-1][:3].tolist())
    explained = searcher.explain("cat bread", k=1)
    assert {term.term for term in explained.terms} <= set(encoder.terms) and explained.hits[0].hit.score == hits[
        0
    ].score


def test_a_backbone_has_terms_of_all_its_languages(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sentences = [
        [" ".join(ENGLISH[i] for i in row), " ".join(GERMAN[i] for i in row)]
        for row in (rng.choice(6, 4, replace=False) for _ in range(100))
    ]
    make_backbone(sentences, tmp_path / "backbone", BackboneSettings(n_terms=120, size=16))
    with pytest.raises(UsageError, match="lower the size"):
        make_backbone(sentences, tmp_path / "large", BackboneSettings(n_terms=120, size=99))
    terms = json.loads((tmp_path / "backbone" / "tokenizer.json").read_text())["model"]["vocab"]
    names = [name for name, _ in terms]
    assert names[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and {*"catB"} <= set("".join(names))
