"""Sparse token vectors and their sums of maxima: as a plain reading of SLIM gives them, and as a search refines by."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lsr.cli.main import main
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.rerank.sparse_tokens import SparseTokens, load_sparse_tokens, sums_of_maxima
from lsr.errors import UsageError

TEXTS = ["the cat sat on the mat", "walkers learned sparse retrieval index", "dogs running ?", "", "cat"]


@pytest.fixture(scope="module")
def slim_folder(plain_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slim") / "model"
    save_encoder(start_encoder("slim", plain_folder, device="cpu"), folder)
    return folder


def plain_rows(folder, text, kept):
    """Return a dict of weights for each token, special ones included."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    if not text.strip():
        return []
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    rows = []
    for token in torch.log1p(torch.relu(logits)).tolist():
        best = sorted(range(len(token)), key=lambda term: -token[term])[:kept]
        rows.append({term: token[term] for term in best if token[term] > 0})
    return rows


def plain_score(query, document):
    """Return Σ_i max_j q_i · d_j in Python's floats."""
    products = [
        [sum(weight * other.get(term, 0) for term, weight in own.items()) for other in document] for own in query
    ]
    return sum(max(row) for row in products) if document else 0.0


@pytest.mark.parametrize("kept", [1, 4, 1000])
def test_rows_and_scores_are_those_of_a_plain_reading(plain_folder, slim_folder, kept):
    tokens = load_sparse_tokens(slim_folder, kept=kept)
    documents = tokens.encode_texts(TEXTS, TEXTS)
    wanted = [plain_rows(plain_folder, text, kept) for text in TEXTS]
    for found, rows in zip(documents, wanted, strict=True):
        assert len(found) == len(rows)
        for (terms, weights), row in zip(found, rows, strict=True):
            assert list(terms) == sorted(row)
            np.testing.assert_allclose(weights, [row[term] for term in sorted(row)], atol=1e-4)
    for text in ("cat mat", "sparse query ?"):
        query = plain_rows(plain_folder, text, kept)
        scores = sums_of_maxima(tokens.encode_query(text), documents)
        np.testing.assert_allclose(scores, [plain_score(query, rows) for rows in wanted], rtol=1e-3)


def test_the_fused_form_is_an_upper_bound(slim_folder):
    encoder = load_neural(slim_folder)
    tokens = SparseTokens(encoder, kept=1000)
    from lsr.types import Document

    documents = [Document(str(i), text) for i, text in enumerate(TEXTS)]
    refined = sums_of_maxima(tokens.encode_query(TEXTS[0]), tokens.encode_texts(TEXTS, TEXTS))
    (terms, weights), *_ = encoder.encode_queries([TEXTS[0]])
    query = dict(zip(terms.tolist(), weights.tolist(), strict=True))
    for bound, (ids, own) in zip(refined, encoder.encode_documents(documents), strict=True):
        fused = sum(query.get(term, 0) * weight for term, weight in zip(ids.tolist(), own.tolist(), strict=True))
        assert fused >= bound - 1e-4


def test_a_search_refines_its_candidates(slim_folder, plain_folder, router_folder, tmp_path, capfd):
    folder = tmp_path / "notes"
    folder.mkdir()
    for i, text in enumerate(TEXTS):
        (folder / f"{i}.txt").write_text(text or "tree")
    index = str(tmp_path / "index")
    assert main(["index", str(folder), "--encoder", str(slim_folder), "--index", index]) == 0
    capfd.readouterr()
    command = ["search", TEXTS[0], "--index", index, "--rerank", "slim", "--weights", "0", "1", "--json", "-k", "3"]
    assert main(command) == 0
    hits = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    tokens = load_sparse_tokens(slim_folder)
    texts = [hit["text"] for hit in hits]
    scores = sums_of_maxima(tokens.encode_query(TEXTS[0]), tokens.encode_texts(texts, texts))
    assert len(hits) == 3 and (np.diff(scores) <= 0).all()
    assert main([*command[:5], f"slim:{plain_folder}", "--json"]) == 0
    capfd.readouterr()
    other = str(tmp_path / "other")
    assert main(["index", str(folder), "--encoder", str(router_folder), "--index", other]) == 0
    assert main(["search", "cat", "--index", other, "--rerank", "slim"]) == 2
    assert "name a model, as slim:MODEL" in capfd.readouterr().err


def test_models_without_token_vectors_are_refused(plain_folder, router_folder):
    with pytest.raises(UsageError, match="its queries need no model"):
        load_sparse_tokens(router_folder)
    with pytest.raises(UsageError, match="0 weights of a token"):
        load_sparse_tokens(plain_folder, kept=0)
    with pytest.raises(UsageError, match="its head is 'mlm', expansion 'input'"):
        load_sparse_tokens(plain_folder, family="splade-lexical")
