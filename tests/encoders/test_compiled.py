"""The bundled model on the compiled kernels: no torch, the same bits in every batch, close to float32."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.base import model_of
from lsr.encoders.compiled import forward
from lsr.encoders.compiled.encoder import CompiledEncoder, JointCompiledEncoder
from lsr.encoders.compiled.open import open_compiled
from lsr.encoders.dense.base import JointEncoder
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.registry import load_dense_encoder, load_encoder
from lsr.encoders.runtime import INTEGER_KERNELS
from lsr.encoders.static import encoder as static_encoder
from lsr.encoders.static.encoder import open_static
from lsr.errors import EncoderError, UsageError
from lsr.kernels.jit.first_use import note_of_compiling
from lsr.kernels.simd.cpu_features import has_feature
from lsr.models import bundled_folder
from lsr.types import Document

TEXTS = [
    "A colony keeps tens of thousands of workers, one queen and a few drones in its hive.",
    "Flour, water, yeast and salt are kneaded to a dough that rises before it is baked.",
    "",
    "White opens with the king's pawn; Black may answer with the Sicilian defence.",
    "bread",
    "bees bees bees and bees make honey, as bees do",
    "  \n ",
    "The committee met on Tuesday to discuss the budget. " * 40,
    *(f"Note {i}: the {word} was measured {i * 7} times." for i, word in enumerate("sun moon tide wind rain".split())),
]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def encoder() -> JointCompiledEncoder:
    opened = open_compiled("default", n_threads=1)
    assert isinstance(opened, JointCompiledEncoder)
    return opened


def rows_of(encoder: Any, documents: list[Document]) -> dict[str, tuple[bytes, bytes, bytes]]:
    sparse, dense = encoder.encode_documents_jointly(documents)
    return {
        document.doc_id: (terms.tobytes(), weights.tobytes(), vector.tobytes())
        for document, (terms, weights), vector in zip(documents, sparse, dense, strict=True)
    }


def test_a_document_has_the_same_bits_alone_in_any_batch_order_and_number_of_threads(encoder, monkeypatch):
    alone = {}
    for document in DOCUMENTS:
        alone |= rows_of(encoder, [document])
    assert rows_of(encoder, DOCUMENTS) == alone
    assert rows_of(encoder, DOCUMENTS[::-1]) == alone
    shuffled = [DOCUMENTS[i] for i in np.random.default_rng(0).permutation(len(DOCUMENTS))]
    for tokens in (1, 30, 100_000):
        monkeypatch.setattr("lsr.encoders.compiled.model.GROUP_TOKENS", tokens)
        assert rows_of(open_compiled("default", n_threads=3), shuffled) == alone


def test_sparse_and_dense_vectors_alone_are_those_of_the_joint_pass(encoder):
    sparse, dense = encoder.encode_documents_jointly(DOCUMENTS)
    alone = encoder.encode_documents(DOCUMENTS)
    assert np.array_equal(alone.term_ids, sparse.term_ids) and np.array_equal(alone.weights, sparse.weights)
    assert np.array_equal(encoder.encode_dense_documents(DOCUMENTS), dense)
    assert np.array_equal(encoder.encode_dense_queries(TEXTS), dense)
    assert not dense[2].any() and not dense[6].any() and np.diff(sparse.indptr)[[2, 6]].tolist() == [0, 0]


def test_another_instruction_set_gives_the_same_bits(root):
    """Compiled for another processor, in another process."""
    if not (has_feature("avx2") and has_feature("avx512vnni")):
        pytest.skip("this processor has only one of the instruction sets")
    worker = [sys.executable, "-P", str(Path(__file__).parent / "compiled_worker.py"), json.dumps(TEXTS)]
    haswell = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2,+popcnt,+bmi,+bmi2"}
    found = [
        json.loads(subprocess.run(worker, check=True, capture_output=True, env=os.environ | environment).stdout)
        for environment in ({}, haswell)
    ]
    assert [one["instruction"] for one in found] == ["avx512vnni", "avx2"]
    assert found[0]["digest"] == found[1]["digest"] and found[0]["nnz"] > 100


def test_its_vectors_are_close_to_those_of_float32(encoder):
    exact = model_of(load_encoder("default", device="cpu", dtype="float32"))
    assert isinstance(exact, JointEncoder) and not isinstance(exact, CompiledEncoder)
    assert encoder.description == exact.description and encoder.runtime != exact.runtime
    assert list(encoder.terms) == list(exact.terms)
    assert encoder.text_length == exact.text_length
    (sparse, dense), (of_exact, dense_of_exact) = (e.encode_documents_jointly(DOCUMENTS) for e in (encoder, exact))
    cosines = (dense * dense_of_exact).sum(1)
    assert cosines[[0, 1, 3]].min() > 0.998
    for row, (found, expected) in enumerate(zip(sparse, of_exact, strict=True)):
        a, b = (dict(zip(terms.tolist(), weights.tolist(), strict=True)) for terms, weights in (found, expected))
        if b:
            product = sum(a.get(term, 0.0) * weight for term, weight in b.items())
            lengths = [sum(weight * weight for weight in r.values()) ** 0.5 for r in (a, b)]
            assert product / (lengths[0] * lengths[1]) > 0.985, row
    assert np.array_equal(encoder.encode_queries(TEXTS).weights, exact.encode_queries(TEXTS).weights)


def test_the_bundled_model_runs_on_the_kernels_unless_another_dtype_or_device_is_asked_for():
    for options in ({}, {"device": "cpu"}, {"dtype": "int8"}, {"dtype": "int8", "device": "cpu"}):
        chosen = model_of(load_encoder("default", **options))
        assert isinstance(chosen, CompiledEncoder) and chosen.runtime == INTEGER_KERNELS
    for dtype in ("float32", "bfloat16"):
        assert not isinstance(model_of(load_encoder("default", device="cpu", dtype=dtype)), CompiledEncoder)
    joint = load_encoder("default")
    assert load_dense_encoder("joint", sparse=joint) is joint
    with pytest.raises(UsageError, match="dtype int8 is for the CPU, but device is 'cuda'"):
        load_encoder("default", dtype="int8", device="cuda")


def test_where_torch_is_missing_other_models_run_on_the_kernels_in_float32(monkeypatch, caplog):
    monkeypatch.setattr("lsr.encoders.compiled.choose.has_torch", lambda: False)
    folder = bundled_folder("default")
    with caplog.at_level("INFO", "lsr"):
        opened = model_of(load_encoder(str(folder)))
    assert isinstance(opened, CompiledEncoder) and opened.dtype == "float32"
    assert caplog.messages == [f"torch isn't installed: {folder} encodes in float32 on compiled kernels"]
    with pytest.raises(UsageError, match="dtype 'float16' needs torch"):
        open_compiled("default", dtype="float16")


def test_float32_on_the_kernels_is_float32_in_torch():
    documents = DOCUMENTS[:6]
    exact = model_of(load_encoder("default", device="cpu", dtype="float32"))
    compiled = open_compiled("default", dtype="float32", n_threads=1)
    assert isinstance(compiled, JointCompiledEncoder)
    (sparse, dense), (of_exact, dense_of_exact) = (e.encode_documents_jointly(documents) for e in (compiled, exact))
    assert np.abs(dense - dense_of_exact).max() < 1e-5
    for found, expected in zip(sparse, of_exact, strict=True):
        a, b = (dict(zip(terms.tolist(), weights.tolist(), strict=True)) for terms, weights in (found, expected))
        assert max((abs(a.get(term, 0) - b.get(term, 0)) for term in a.keys() | b.keys()), default=0) < 0.31
        assert all(abs(a[term] - b[term]) < 1e-3 for term in a.keys() & b.keys())
        assert len(a.keys() ^ b.keys()) <= 1  # one at the threshold


@pytest.mark.parametrize(("name", "dtype"), [("default", "int8"), ("default", "float32"), ("fast", None)])
def test_the_kernels_that_a_first_encoding_says_it_compiles_are_those_that_it_compiles(name, dtype, monkeypatch):
    asked: list[tuple[str, ...]] = []
    for module in (forward, static_encoder):
        monkeypatch.setattr(module, "warn_before_compiling", lambda *kernels, what: asked.append(kernels))
    opened = open_static(name) if dtype is None else open_compiled(name, dtype=dtype, n_threads=1)
    opened.encode_documents(DOCUMENTS[:2])
    assert asked and {note_of_compiling(*kernels) for kernels in asked} == {None}


def test_options_change_what_is_read_and_kept():
    short = open_compiled("default", max_length=16, top_k=5, threshold=0.0, n_threads=1)
    assert short.text_length == 16
    rows = short.encode_documents([DOCUMENTS[7], DOCUMENTS[0]])
    assert np.diff(rows.indptr).tolist() == [5, 5]


def test_indexing_and_searching_need_no_torch(tmp_path):
    """With torch and transformers out of reach, as in a plain install."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(json.dumps({"_id": d.doc_id, "text": d.text}) for d in DOCUMENTS if d.text.strip()))
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    hide = "import sys\nsys.modules.update(dict.fromkeys(('torch', 'transformers', 'accelerate')))\n"
    (blocked / "sitecustomize.py").write_text(hide)
    environment = os.environ | {"PYTHONPATH": str(blocked)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "lsr.cli.main", *arguments, "--index", str(tmp_path / "index")]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("index", str(corpus), "--encoder", "default", "--dense", "joint")
    for options in ([], ["--hybrid", "union"], ["--hybrid", "rerank"], ["--rerank", "late-interaction"]):
        found = run("search", "baking bread at home", "-k", "1", "--json", *options)
        assert json.loads(found)["doc_id"] == "1"


@pytest.fixture
def broken(tmp_path: Path) -> Callable[..., Path]:
    """Copy the bundled model with some values of its configuration changed."""

    def change(file: str, **values: Any) -> Path:
        folder = bundled_folder("default")
        assert folder is not None
        copy = Path(shutil.copytree(folder, tmp_path / "model", dirs_exist_ok=True))
        path = copy / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        return copy

    return change


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model_type": "deberta"}, "its architecture is 'deberta', not one of bert, distilbert"),
        ({"hidden_act": "relu"}, "its activation is 'relu', not 'gelu'"),
        ({"num_attention_heads": 24}, "its 24 attention heads"),
        ({"hidden_size": 200}, "its hidden size 200"),
        ({"hidden_size": "wide"}, "its hidden_size is 'wide', not a number of 1 or more"),
        ({"intermediate_size": 0}, "its intermediate_size is 0, not a number of 1 or more"),
        ({"position_embedding_type": "relative_key"}, "its positions aren't absolute"),
        ({"is_decoder": True}, "it is a decoder"),
    ],
)
def test_a_model_that_the_kernels_cannot_run_is_refused_with_the_reason(broken, values, reason):
    with pytest.raises(EncoderError, match=f"can't run without torch: {reason}"):
        open_compiled(broken("document/config.json", **values))


def test_a_config_that_does_not_fit_the_weights_is_refused(broken):
    with pytest.raises(EncoderError, match=r"intermediate.dense.weight has shape \(1536, 384\)"):
        open_compiled(broken("document/config.json", intermediate_size=768))
    with pytest.raises(EncoderError, match=r"encoder.layer.6.* missing"):
        open_compiled(broken("document/config.json", num_hidden_layers=7, intermediate_size=1536))


def test_a_model_that_gives_no_numbers_is_named_with_the_document(encoder, monkeypatch):
    broken = open_compiled("default", n_threads=1)
    broken.document.weights.head.norm.bias[3] = np.nan
    with pytest.raises(EncoderError, match="document '1': the model gives weights that are not numbers"):
        broken.encode_documents(DOCUMENTS[1:3])
    assert encoder.encode_documents(DOCUMENTS[1:3]).nnz > 0


def test_bytes_are_given_only_of_tables_that_are_stored_so():
    folder = bundled_folder("default")
    assert folder is not None
    tensors = Tensors(folder / "document" / "compact.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    stored = tensors.bytes_of(name)
    assert stored is not None and np.array_equal(stored[0] * stored[1][:, None], tensors.get(name))
    assert tensors.bytes_of("cls.predictions.bias") is None
