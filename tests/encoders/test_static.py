"""Static encoders: made from a model, saved, refused when broken, and an encoder like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import lsr
from lsr.encoders.compiled.open import open_compiled
from lsr.encoders.registry import load_encoder
from lsr.encoders.static.choose import CONFIG_FILE
from lsr.encoders.static.encoder import StaticEncoder, open_static
from lsr.encoders.static.folder import ROWS_FILE, read_static
from lsr.errors import EncoderError, UsageError
from lsr.models import FAST, bundled_folder
from lsr.training.static.collect import Collection, collect
from lsr.training.static.make import RowSettings, make_static, save
from lsr.types import Document

TEXTS = [
    "A colony of bees keeps one queen and thousands of workers in its hive.",
    "The queen of the bees lays eggs; workers gather nectar and make honey.",
    "Bakers knead flour, water and yeast to a dough, and bake bread of it.",
    "Bread of wheat flour rises by yeast before the bakers bake it.",
    "Patients with hypertension should bake less, and hypertension drugs help patients.",
]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)] + [Document("empty", "")]


@pytest.fixture(scope="module")
def model():
    return open_compiled("default")


@pytest.fixture(scope="module")
def collected(model, tmp_path_factory):
    return collect(model, TEXTS, Collection(least_new=1), work=tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def folder(model, collected, tmp_path_factory):
    place = tmp_path_factory.mktemp("static") / "encoder"
    save(make_static(model, collected, RowSettings()), place, 8.0, 24.0, 0.5)
    return place


def test_a_word_has_what_the_model_reads_into_it(model, collected):
    bees = model.tokenizer.encode("bees", add_special_tokens=False).ids
    number = collected.words.index(tuple(bees))
    assert collected.counts[number] == 2
    weights = dict(zip(collected.term[collected.word == number], collected.sums[collected.word == number], strict=True))
    scores = {}
    for text in TEXTS[:2]:
        ids = model.tokenizer.encode(text).ids
        at = ids.index(bees[0])
        (terms,) = model.document.spans([ids], [[(at, at + len(bees))]])
        for term, logit in zip(terms.term_ids.tolist(), terms.logits.tolist(), strict=True):
            if np.log1p(logit) > 0.05:
                scores[term] = scores.get(term, 0) + np.log1p(logit)
    assert weights.keys() == scores.keys() and weights == pytest.approx(scores, rel=1e-5)
    assert bees[0] in weights


def test_the_terms_of_all_tokens_are_those_of_the_text(model):
    ids = [model.tokenizer.encode(text).ids for text in TEXTS[:3]]
    whole = model.document.spans(ids, [[(0, len(one))] for one in ids])
    for scores, text in zip(whole, TEXTS, strict=False):
        ((terms, _),) = model.document.encode([(text, text)], sparse=True, dense=False)[0]
        assert set(terms.tolist()) <= set(scores.term_ids.tolist())


def test_an_interrupted_collection_resumes(model, collected, tmp_path, monkeypatch):
    monkeypatch.setattr("lsr.training.static.collect._GROUPS_OF_PART", 1)
    monkeypatch.setattr("lsr.training.static.collect._GROUP_TOKENS", 10)
    settings = Collection(least_new=1)
    first = collect(model, TEXTS, settings, work=tmp_path)
    parts = sorted(tmp_path.glob("*.npz"))
    assert len(parts) > 2
    parts[1].unlink()
    kept = parts[0].stat().st_mtime_ns
    again = collect(model, TEXTS, settings, work=tmp_path)
    assert parts[0].stat().st_mtime_ns == kept and parts[1].is_file()
    for rows in (again, collected):
        assert rows.words == first.words and np.array_equal(rows.counts, first.counts)
        assert np.array_equal(rows.term, first.term) and np.allclose(rows.sums, first.sums)


def test_the_same_bits_alone_shuffled_and_in_batches(folder):
    encoder = open_static(folder)
    together = list(encoder.encode_documents(DOCUMENTS))
    alone = [next(iter(encoder.encode_documents([document]))) for document in DOCUMENTS]
    shuffled = list(encoder.encode_documents(DOCUMENTS[::-1]))[::-1]
    for rows in (alone, shuffled):
        for (terms, weights), (its_terms, its_weights) in zip(together, rows, strict=True):
            assert np.array_equal(terms, its_terms) and np.array_equal(weights, its_weights)
    assert len(together[-1][0]) == 0 and len(encoder.encode_documents([])) == 0
    assert encoder.runtime.same_bits


def test_a_word_without_a_row_stands_for_its_tokens(folder, model):
    encoder = open_static(folder)
    ids = model.tokenizer.encode("zygomorphic", add_special_tokens=False).ids
    assert len(ids) > 1
    ((terms, weights),) = encoder.encode_documents([Document("z", "zygomorphic")])
    assert set(ids) <= set(terms.tolist()) and weights.max() < 1.1


def test_models_that_can_be_no_static_encoder_are_refused(model, collected):
    with pytest.raises(UsageError, match="queries need a model"):
        make_static(SimpleNamespace(query=None, name="a"), collected, RowSettings())
    other = json.loads(model.tokenizer.to_str())
    other["model"]["continuing_subword_prefix"] = "@@"
    whole = SimpleNamespace(**{name: getattr(model, name) for name in ("query", "name", "document", "config")})
    whole.tokenizer = SimpleNamespace(to_str=lambda: json.dumps(other))
    with pytest.raises(UsageError, match="WordPieces"):
        make_static(whole, collected, RowSettings())


def test_options_are_those_of_models_or_refused(folder):
    strict = open_static(folder, threshold=0.9, top_k=3, max_length=4, device="cpu")
    assert strict.text_length == 4 and np.diff(strict.encode_documents(DOCUMENTS).indptr).max() <= 3
    for option in ({"dtype": "bfloat16"}, {"device": "cuda"}, {"family": "splade"}):
        with pytest.raises(UsageError, match="static encoder"):
            open_static(folder, **option)


def test_index_search_add_and_explain(folder, tmp_path):
    index = lsr.index([{"doc_id": d.doc_id, "text": d.text} for d in DOCUMENTS[:4]], tmp_path / "i", encoder=folder)
    index.add([{"doc_id": "4", "text": TEXTS[4]}])
    assert [hit.doc_id for hit in index.search("hypertension", k=1)] == ["4"]
    assert {hit.doc_id for hit in index.search("queen bee", k=2)} == {"0", "1"}
    assert index.explain("bread", k=1)[0].terms
    reopened = lsr.open(tmp_path / "i")
    assert [hit.doc_id for hit in reopened.search("hypertension", k=1)] == ["4"]
    assert index.check() is not None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("terms", lambda a: a[:-1]),
        ("weights", lambda a: np.zeros_like(a)),
        ("terms", lambda a: np.full_like(a, 65_535)),
        ("word_tokens", lambda a: np.full_like(a, 65_535)),
        ("word_lengths", lambda a: a[:-1]),
        ("word_lengths", lambda a: np.zeros_like(a)),
        ("row_lengths", lambda a: a.astype(np.int32)),
        ("query_weights", lambda a: -a),
        ("query_weights", lambda a: a[:100]),
        ("query_weights", None),
    ],
)
def test_broken_rows_are_refused(folder, tmp_path, name, change):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arrays = load_file(tmp_path / ROWS_FILE)
    changed = {} if change is None else {name: np.ascontiguousarray(change(arrays[name]))}
    save_file({key: value for key, value in arrays.items() if key != name} | changed, tmp_path / ROWS_FILE)
    with pytest.raises(EncoderError):
        open_static(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 1, "scale": 0}', '{"format": 1, "x": 1}'])
def test_broken_settings_are_refused(folder, tmp_path, text):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(EncoderError):
        open_static(tmp_path)
    (tmp_path / CONFIG_FILE).write_text((folder / CONFIG_FILE).read_text())
    (tmp_path / ROWS_FILE).write_bytes(b"nothing")
    with pytest.raises(EncoderError):
        open_static(tmp_path)


def test_saving_again_changes_nothing(folder, tmp_path):
    parts = read_static(folder)
    (tmp_path / "again").mkdir()
    save(parts, tmp_path / "again", 8.0, 24.0, 0.5)
    assert (tmp_path / "again" / ROWS_FILE).read_bytes() == (folder / ROWS_FILE).read_bytes()
    assert json.loads((tmp_path / "again" / CONFIG_FILE).read_text()) == json.loads((folder / CONFIG_FILE).read_text())
    shorter = StaticEncoder(replace(parts, config=replace(parts.config, max_length=8)), "short", "sha256:0")
    assert shorter.text_length == 8


def test_the_bundled_one_is_small_has_a_card_and_expands():
    place = bundled_folder("fast")
    assert place is not None and place == bundled_folder(FAST)
    assert sum(path.stat().st_size for path in place.iterdir()) < 5_000_000
    card = (place / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("Licence", "Data", "Made by", "nDCG@10", "Limits"))
    encoder = load_encoder("fast")
    assert encoder.description["name"] == FAST and encoder.description["kind"] == "static"
    ((terms, _),) = encoder.model.encode_documents([Document("a", "the queen of a beehive and its honey")])
    assert "bee" in {encoder.terms[term] for term in terms}
