"""On a CUDA device: the vectors of the CPU, whatever the family, and batches that halve where memory ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsr.encoders.config import DenseConfig, EncoderConfig
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.families import FAMILIES
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.load_model import Placement
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch

TEXTS = ["the cat sat on the mat", "", "a b c d e f ? zebra treehouse " * 30, "walkers learned sparse retrieval", "cat"]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]
FROM_ONE_MODEL = [name for name, family in FAMILIES.items() if family.config.document.head in ("mlm", "mlp", "gated")]

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def rows(batch: SparseBatch) -> np.ndarray:
    batch.check()
    dense = np.zeros((len(batch), batch.vocab_size), np.float32)
    for i, (terms, weights) in enumerate(batch):
        dense[i, terms] = weights
    return dense


@pytest.fixture
def saved(plain_folder, tmp_path):
    def save(family):
        config = FAMILIES[family].config
        query = plain_folder if config.query_side == "own" else None
        save_encoder(start_encoder(family, plain_folder, query=query, device="cpu"), tmp_path / "model")
        return tmp_path / "model"

    return save


@needs_cuda
@pytest.mark.parametrize("family", FROM_ONE_MODEL)
def test_every_family_gives_the_vectors_of_the_cpu(saved, family):
    folder = saved(family)
    cpu, cuda = (load_neural(folder, device=device, dtype="float32") for device in ("cpu", "cuda"))
    assert {parameter.device.type for parameter in cuda.document.tower.parameters()} == {"cuda"}
    assert np.allclose(rows(cuda.encode_documents(DOCUMENTS)), rows(cpu.encode_documents(DOCUMENTS)), atol=1e-3)
    assert np.allclose(rows(cuda.encode_queries(TEXTS)), rows(cpu.encode_queries(TEXTS)), atol=1e-3)


@needs_cuda
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_give_nearly_the_same_vectors(plain_folder, dtype):
    full, half = (load_neural(plain_folder, device="cuda", dtype=name) for name in ("float32", dtype))
    expected, found = rows(full.encode_documents(DOCUMENTS)), rows(half.encode_documents(DOCUMENTS))
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(1) / np.maximum(lengths, 1)
    assert found[1].sum() == 0 and np.all(cosines[[0, 2, 3, 4]] > 0.99)


@needs_cuda
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_dense_and_joint_vectors_too(plain_folder, pooling):
    cpu, cuda = (load_dense(plain_folder, pooling=pooling, device=d, dtype="float32") for d in ("cpu", "cuda"))
    assert np.allclose(cuda.encode_dense_documents(DOCUMENTS), cpu.encode_dense_documents(DOCUMENTS), atol=1e-4)
    config = EncoderConfig("joint", dense=DenseConfig(pooling=pooling, shared_layers=1))
    joint = [start_encoder(config, plain_folder, device=device, dtype="float32") for device in ("cpu", "cuda")]
    (sparse, dense), (sparse_cuda, dense_cuda) = (encoder.encode_documents_jointly(DOCUMENTS) for encoder in joint)
    assert np.allclose(rows(sparse_cuda), rows(sparse), atol=1e-3) and np.allclose(dense_cuda, dense, atol=1e-4)


@needs_cuda
def test_a_batch_that_is_too_large_is_halved(plain_folder):
    """Leave the allocator so little that the first batch can't fit; later ones do, and nothing is lost."""
    documents = [Document(str(i), "sparse retrieval index query " * 15) for i in range(2000)]
    encoder = load_neural(plain_folder, device="cuda", dtype="float32", max_tokens=1 << 17)
    expected = rows(encoder.encode_documents(documents[:4]))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (48 << 20)) / total)
    try:
        found = rows(encoder.encode_documents(documents))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert np.allclose(found, np.tile(expected[:1], (2000, 1)), atol=1e-4)


@needs_cuda
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(EncoderError, match="device 'cuda:99' is not there: torch finds"):
        Placement.of("cuda:99")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_cpu_computes_in_full():
    assert Placement.of() == Placement(torch.device("cpu"), torch.float32)
    with pytest.raises(EncoderError, match="device 'cuda' is not there: torch finds no CUDA device"):
        Placement.of("cuda")


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
    ],
)
def test_what_allocators_say_is_understood(message):
    from lsr.encoders.network.batching import is_out_of_memory

    assert is_out_of_memory(RuntimeError(message))
    assert not is_out_of_memory(ValueError(message))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
