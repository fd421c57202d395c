"""A model that an index names is opened only if this user has loaded it before, or names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.converted.sparse_codes import save_codes
from lsr.encoders.dense.base import dense_description
from lsr.encoders.dense.numpy_encoder import open_bare
from lsr.encoders.pretrained.known_models import is_known
from lsr.encoders.registry import (
    load_dense_encoder,
    load_encoder,
    open_dense_encoder,
    open_document_encoder,
    open_query_encoder,
)
from lsr.errors import EncoderError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.query_encoders import QueryEncoders
from lsr.types import Document

UNKNOWN = "which you haven't loaded before"


@pytest.fixture(autouse=True)
def _new_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_cache(tmp_path / "cache", monkeypatch)


def new_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user who has loaded nothing so far."""
    monkeypatch.setenv("LSR_CACHE", str(folder))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny masked-LM checkpoint."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    folder = tmp_path_factory.mktemp("model")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertForMaskedLM(BertConfig(vocab_size=len(words), max_position_embeddings=16, **sizes)).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **names).save_pretrained(folder)
    return folder


@pytest.fixture
def descriptions(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, Any]]:
    """Return descriptions of all kinds of encoders that another user's models gave."""
    import numpy as np

    from lsr.encoders.converted.sparse_codes import SparseAutoencoder

    new_cache(tmp_path / "another user's", monkeypatch)
    dense = load_dense_encoder(str(model))
    parts = {name: np.eye(16, dtype=np.float32) for name in ("encoder", "decoder")}
    parts |= {name: np.zeros(16, np.float32) for name in ("bias", "centre")}
    save_codes(tmp_path / "codes", SparseAutoencoder(n_active=2, **parts), dense_description(dense))
    found = {
        "sparse": load_encoder(model).description,
        "codes": load_encoder(f"codes:{tmp_path / 'codes'}").description,
        "dense": dense_description(dense),
        "densified": dense_description(load_dense_encoder(f"densified:8:{model}")),
    }
    new_cache(tmp_path / "cache", monkeypatch)
    return {name: json.loads(json.dumps(description)) for name, description in found.items()}


def refuse_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look for a model, or into a folder of codes, fail the test."""

    def looked(*args: object, **options: object) -> None:
        raise AssertionError(f"looked for {args}")

    for module in ("pretrained.load_encoder", "dense.encoder", "dense.numpy_encoder", "compiled.open"):
        monkeypatch.setattr(f"lsr.encoders.{module}.locate", looked)
    monkeypatch.setattr("lsr.encoders.pretrained.hub._from_hub", looked)
    monkeypatch.setattr("lsr.encoders.converted.sparse_codes.read_codes", looked)


@pytest.mark.parametrize("name", [None, "owner/model", "//server/share", "~root/model", "../model", "codes:/etc"])
def test_a_strangers_index_leads_to_no_model(
    name: str | None, descriptions: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_look(monkeypatch)
    for kind, description in descriptions.items():
        if name is not None:
            description |= {"name": name, "revision": "0123abcd"}
            description["settings"].update({key: description for key in ("dense", "encoder") if key in description})
        if kind in ("dense", "densified"):
            assert open_bare(description) is None
            with pytest.raises(EncoderError, match=UNKNOWN):
                open_dense_encoder(description)
            continue
        with pytest.raises(EncoderError, match=UNKNOWN):
            open_query_encoder(description, tmp_path, {}.get, 8)
        with pytest.raises(EncoderError, match=UNKNOWN):
            open_document_encoder(description, ())


def test_a_model_that_was_loaded_is_known_in_that_revision_alone(model: Path, tmp_path: Path) -> None:
    description = load_encoder(model).description
    assert open_document_encoder(description, ()).description == description
    other = {**description, "revision": "sha256:0"}
    with pytest.raises(EncoderError, match=UNKNOWN):
        open_document_encoder(other, ())
    assert is_known("default", "anything") and is_known("lsr-mini-v1", "anything")


def test_an_index_from_elsewhere_opens_once_its_model_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_documents([Document("1", "the cat")], tmp_path / "index", load_encoder(model))
    with StoredIndex.open(tmp_path / "index") as index:
        assert QueryEncoders(index).sparse.encode_queries(["cat"]).nnz
        new_cache(tmp_path / "new", monkeypatch)
        with pytest.raises(EncoderError, match="name it yourself once, by --encoder"):
            QueryEncoders(index).sparse  # noqa: B018
        for encoder in (str(model), None):
            assert QueryEncoders(index, encoder=encoder).sparse.encode_queries(["cat"]).nnz


def test_the_recorded_revision_is_asked_for_where_the_recorded_name_is_given(
    descriptions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def asking(name: str, revision: str | None, *_: object) -> None:
        asked.append((name, revision))
        raise EncoderError("asked")

    monkeypatch.setattr("lsr.encoders.pretrained.hub._from_hub", asking)
    recorded = descriptions["dense"] | {"name": "owner/model", "revision": "0123abcd"}
    for name in ("owner/model", "owner/fork"):
        with pytest.raises(EncoderError, match="asked"):
            open_dense_encoder(recorded, moved_to=name)
    assert asked == [("owner/model", "0123abcd"), ("owner/fork", None)]


def test_notes_of_others_do_not_count_and_a_cache_without_room_keeps_none(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = load_encoder(model).description
    folder = tmp_path / "cache" / "known-models"
    assert is_known(str(model), str(description["revision"]))
    folder.chmod(0o777)
    assert not is_known(str(model), str(description["revision"]))
    folder.chmod(0o700)
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert not is_known(str(model), str(description["revision"]))
    (tmp_path / "file").write_text("")
    new_cache(tmp_path / "file", monkeypatch)
    assert load_encoder(model).description == description
    assert not is_known(str(model), str(description["revision"]))
