"""Phrases of a corpus: mined, mentioned, and put beside a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lsr.cli.main import main
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.text.phrases import read_phrases
from lsr.errors import UsageError
from lsr.training.vocabulary.keyphrases import mentioned_titles, mine_keyphrases
from lsr.training.vocabulary.phrases import _documents as read_phrase_corpora
from lsr.training.vocabulary.phrases import with_phrases
from lsr.types import Document

TEXTS = [
    "Boundary layer flow over a flat plate. The boundary layer is thin.",
    "A boundary layer with suction; heat transfer at the wall.",
    "Heat transfer in a boundary layer, and nothing else.",
    "Rivers freeze in winter.",
]
DOCUMENTS = [Document(f"d{i}", text) for i, text in enumerate(TEXTS)]


def test_keyphrases_are_those_of_several_documents() -> None:
    assert mine_keyphrases(DOCUMENTS, min_documents=2, per_document=8)[0] == "boundary layer"
    assert set(mine_keyphrases(DOCUMENTS, min_documents=2)) <= {"boundary layer", "heat transfer"}
    assert mine_keyphrases(DOCUMENTS, min_documents=2, most=1) == ["boundary layer"]
    with pytest.raises(UsageError, match="lower the number"):
        mine_keyphrases(DOCUMENTS, min_documents=4)
    with pytest.raises(UsageError, match="no document"):
        mine_keyphrases([])


def test_titles_are_those_that_the_corpus_mentions() -> None:
    titled = [
        Document(str(i), "", title) for i, title in enumerate(["Heat Transfer (physics)", "Rivers", "Flat Earth"])
    ]
    assert mentioned_titles(titled, DOCUMENTS, min_documents=2) == ["Heat Transfer"]
    with pytest.raises(UsageError, match="none is mentioned in 3"):
        mentioned_titles(titled, DOCUMENTS, min_documents=3)


def test_the_command_writes_phrases_that_a_training_reads(
    tmp_path: Path, random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ({"id": str(i), "text": "key01 key02 walks. noise1 key03"} for i in range(3))
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    mine = ["mine", str(tmp_path / "c.jsonl"), "--keyphrases", "--output", str(tmp_path / "p.txt")]
    assert main([*mine, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 3
    assert main([*mine]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*mine, "--make-queries"]) == 2
    (tmp_path / "p.txt").write_text("key01 key02\nkey04 key05\n")
    folder = with_phrases(random_model, {"files": [str(tmp_path / "p.txt")]}, tmp_path)
    assert read_phrases(folder / "phrases.json").names == ("key01 key02", "key04 key05")
    encoder = start_encoder("casper", folder, device="cpu")
    tower, head = encoder.document.tower, encoder.document.tower.head
    batch = tower.padded(tower.tokens(["key01 key02"]))
    hidden = tower.backbone(batch.input_ids, batch.attention_mask)[0]
    ids = [encoder.terms.index(f"key0{i}") for i in (1, 2)]
    logits = head.projection(hidden)[:, ids].mean(1)  # a phrase starts as the mean of its tokens
    assert float((hidden @ head.map(head.embeddings[0]) + head.bias - logits).abs().max()) < 0.05


def test_embeddings_may_be_of_a_dense_model(tmp_path: Path, random_model: Path) -> None:
    (tmp_path / "p.txt").write_text("key01 key02\nkey04 key05\n")
    settings = {"files": [str(tmp_path / "p.txt")], "embeddings": f"dense:{random_model}"}
    folder = with_phrases(random_model, settings, tmp_path)
    embeddings = start_encoder("dyvo", folder, device="cpu").document.tower.head.embeddings
    names = [Document(name, name) for name in ("key01 key02", "key04 key05")]
    assert np.allclose(embeddings, load_dense(str(random_model)).encode_dense_documents(names), atol=1e-5)


def test_settings_that_do_not_fit(tmp_path: Path, random_model: Path) -> None:
    for settings, message in (
        ({}, "name files of phrases"),
        ({"titles": ["x"], "files": ["y"]}, "titles: name the corpus"),
        ({"files": ["x"], "most": 0}, "most is 0"),
        ({"files": ["x"], "embeddings": "random"}, "embeddings is 'random'"),
        ({"file": "x"}, "encoder.phrases"),
    ):
        with pytest.raises(UsageError, match=message):
            with_phrases(random_model, settings, tmp_path)


def test_corpora_of_phrases_may_call_documents_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"_id": "1", "text": "of {name}"}}\n')
    found = read_phrase_corpora([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")])
    assert [document.text for document in found] == ["of a", "of b"]
