"""Dense vectors of a corpus: through the same shards, into one matrix that is opened by mmap."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.config import DenseConfig, EncoderConfig
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.errors import EncoderError, IndexDamagedError, LsrError
from lsr.indexer.encode.columns import dense_columns
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.encode.matrix import MatrixWriter, matrix_of_shards, open_matrix
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.types import Document

DOCUMENTS = [Document(str(i), text) for i, text in enumerate(["the cat", "", "dogs walk", "sparse", "query index"])]


def test_a_dense_encoder_fills_shards_and_they_a_matrix(plain_folder, tmp_path):
    encoder = load_dense(plain_folder)
    result = encode_corpus(DOCUMENTS, encoder, tmp_path / "out", window=2, with_text=False)
    assert pq.read_schema(result.shards[0]).names == ["id", "vector"]
    matrix_of_shards(result.shards, tmp_path / "vectors.npy")
    matrix = open_matrix(tmp_path / "vectors.npy")
    assert matrix.dtype == np.float16 and matrix.shape == (5, 32)
    assert np.array_equal(matrix, encoder.encode_dense_documents(DOCUMENTS).astype(np.float16))
    assert not matrix.flags.writeable and not matrix.flags.owndata
    again = encode_corpus(DOCUMENTS, encoder, tmp_path / "out", window=2, with_text=False)
    assert again.n_resumed == 5


def test_a_joint_encoder_fills_both_kinds_of_columns(plain_folder, tmp_path):
    encoder = start_encoder(EncoderConfig("joint", dense=DenseConfig()), plain_folder)
    result = encode_corpus(DOCUMENTS, encoder, tmp_path / "out", window=3)
    matrix_of_shards(result.shards, tmp_path / "vectors.npy")
    sparse, dense = encoder.encode_documents_jointly(DOCUMENTS)
    assert np.allclose(open_matrix(tmp_path / "vectors.npy"), dense, atol=1e-3)
    ids = {term: i for i, term in enumerate(encoder.terms)}
    read = [vectors for path in result.shards for _, vectors, _ in read_vectors(path, ids.get)]
    assert sum(vectors.nnz for vectors in read) == sparse.nnz


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_a_matrix_holds_the_rows_that_were_appended(tmp_path_factory, sizes, dimension):
    path = tmp_path_factory.mktemp("matrix") / "m.npy"
    rows = [np.random.default_rng(i).normal(size=(n, dimension)).astype(np.float32) for i, n in enumerate(sizes)]
    with MatrixWriter(path, dimension) as writer:
        for part in rows:
            writer.append(part)
    expected = np.concatenate([np.empty((0, dimension)), *rows]).astype(np.float16)
    assert np.array_equal(open_matrix(path), expected)
    assert np.array_equal(np.load(path, allow_pickle=False), expected)


def test_a_matrix_that_was_not_finished_is_not_there(tmp_path):
    with pytest.raises(LsrError, match="3 columns are due"), MatrixWriter(tmp_path / "m.npy", 3) as writer:
        writer.append(np.zeros((2, 3)))
        writer.append(np.zeros((2, 4)))
    assert list(tmp_path.iterdir()) == []


def test_shards_without_dense_vectors_are_refused(router_folder, plain_folder, tmp_path):
    from lsr.encoders.registry import load_encoder

    result = encode_corpus(DOCUMENTS, load_encoder(router_folder), tmp_path / "out")
    with pytest.raises(LsrError, match="holds no dense vectors"):
        matrix_of_shards(result.shards, tmp_path / "m.npy")
    with pytest.raises(LsrError, match="no shards"):
        matrix_of_shards([], tmp_path / "m.npy")
    with pytest.raises(IndexDamagedError):
        open_matrix(tmp_path / "m.npy")
    assert not (tmp_path / "m.npy.tmp").exists()


def test_numbers_beyond_float16_name_the_document():
    with pytest.raises(EncoderError, match="document '2': its dense vector holds 1e"):
        dense_columns(np.array([[1, 2], [3, 1e6]], np.float32), [DOCUMENTS[0], DOCUMENTS[2]])
