"""Exported models: each architecture as torch computes it, refused where files do not fit together."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.cli.main import main
from lsr.encoders.compiled.choose import int8_hint
from lsr.encoders.compiled.dense_encoder import CompiledDenseEncoder
from lsr.encoders.compiled.encoder import CompiledEncoder, JointCompiledEncoder
from lsr.encoders.compiled.export import export_encoder
from lsr.encoders.config import DenseConfig, EncoderConfig, TowerConfig
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_dense_encoder, load_encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.types import Document

TEXTS = [
    "the cat sat on the mat",
    "dog running.",
    "learned sparse retrieval query index " * 9,
    "",
    "cat",
    "机 café",
    " \n",
]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]
ARCHITECTURES = ("bert", "distilbert", "mpnet", "roberta", "xlm-roberta")
PAD = dict.fromkeys(ARCHITECTURES, 0) | {"mpnet": 1}
"""Padding ids: MPNet's is no setting."""

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}


def save(folder: Path, architecture: str, tiny: Any, task: str = "ForMaskedLM") -> Path:
    """Save a small random model of an architecture, with biases and norms that aren't those it begins with."""
    import transformers

    names = {
        "bert": "Bert",
        "distilbert": "DistilBert",
        "mpnet": "MPNet",
        "roberta": "Roberta",
        "xlm-roberta": "XLMRoberta",
    }
    sizes = dict(SIZES)
    if architecture == "distilbert":
        sizes = {"dim": 64, "n_layers": 2, "n_heads": 2, "hidden_dim": 128}
    config = getattr(transformers, f"{names[architecture]}Config")(
        vocab_size=len(tiny.words),
        max_position_embeddings=66,
        pad_token_id=PAD[architecture],
        initializer_range=0.2,
        **sizes,
    )
    torch.manual_seed(3)
    model = getattr(transformers, names[architecture] + task)(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim == 1:
                value.add_(torch.randn_like(value) / 5)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    if PAD[architecture]:  # the other id of the padding and of unknown words
        path = folder / "tokenizer.json"
        values = json.loads(path.read_text())
        swapped = {"[PAD]": 1, "[UNK]": 0}
        values["model"]["vocab"] |= swapped
        for token in values["added_tokens"]:
            token["id"] = swapped.get(token["content"], token["id"])
        values["added_tokens"].sort(key=lambda token: token["id"])
        path.write_text(json.dumps(values))
    return folder


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(1)[lengths > 0] / lengths[lengths > 0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_sparse_model_gives_what_torch_gives(architecture: str, tiny: Any, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", architecture, tiny)
    exact = load_neural(folder, device="cpu")
    expected = dense_of(exact.encode_documents(DOCUMENTS))
    done = export_encoder(folder, tmp_path / "float32", dtype="float32")
    assert (done.kind, done.dtype, done.max_length) == (
        "sparse",
        "float32",
        exact.description["settings"]["document"]["max_length"],
    )
    same = load_encoder(tmp_path / "float32")
    assert isinstance(same, CompiledEncoder) and same.dtype == "float32"
    assert np.abs(dense_of(same.encode_documents(DOCUMENTS)) - expected).max() < 1e-4
    assert np.abs(dense_of(same.encode_queries(TEXTS)) - expected).max() < 1e-4
    export_encoder(folder, tmp_path / "int8")
    rounded = load_encoder(tmp_path / "int8")
    assert isinstance(rounded, CompiledEncoder) and rounded.dtype == "int8"
    assert cosines(dense_of(rounded.encode_documents(DOCUMENTS)), expected).min() > 0.98
    assert list(rounded.terms) == list(exact.terms)
    for name in ("kind", "tokenizer_hash", "query_side", "settings"):
        assert same.description[name] == exact.description[name]


def dense_of(rows: Any) -> np.ndarray:
    whole = np.zeros((len(rows), rows.vocab_size), np.float32)
    for row, (terms, weights) in zip(whole, rows, strict=True):
        row[terms] = weights
    return whole


@pytest.mark.parametrize("architecture", ["distilbert", "mpnet", "roberta"])
def test_a_dense_model_gives_what_torch_gives(architecture: str, tiny: Any, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", architecture, tiny, "Model")
    done = export_encoder(folder, tmp_path / "float32", dtype="float32")
    assert done.kind == "dense"
    exact, same = load_dense(folder, device="cpu"), load_dense_encoder(tmp_path / "float32")
    assert isinstance(same, CompiledDenseEncoder)
    assert np.abs(same.encode_dense_documents(DOCUMENTS) - exact.encode_dense_documents(DOCUMENTS)).max() < 1e-5
    assert same.description["settings"] == exact.description["settings"] and same.text_length == exact.text_length
    export_encoder(folder, tmp_path / "int8")
    rounded = load_dense_encoder(tmp_path / "int8")
    assert cosines(rounded.encode_dense_queries(TEXTS), exact.encode_dense_queries(TEXTS)).min() > 0.99
    with pytest.raises(EncoderError, match="is an exported dense encoder: give it as --dense"):
        load_encoder(tmp_path / "int8")


def st_folder(tmp_path: Path, folder: Path, pooling: str) -> Path:
    """Put a pooling and a layer with tanh behind a transformer, as Sentence-Transformers saves them."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(2)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    values = [{"type": f"sentence_transformers.models.{kind}", "path": path} for path, kind in modules]
    (folder / "modules.json").write_text(json.dumps(values))
    for place in ("1_Pooling", "2_Dense"):
        (folder / place).mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    layer = {"in_features": 64, "out_features": 40, "bias": True}
    layer |= {"activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(layer))
    weights = {
        "linear.weight": torch.randn(40, 64, generator=generator),
        "linear.bias": torch.randn(40, generator=generator),
    }
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


@pytest.mark.parametrize("pooling", ["cls", "max", "lasttoken"])
def test_poolings_and_layers_behind_them(pooling: str, tiny: Any, tmp_path: Path) -> None:
    folder = st_folder(tmp_path, save(tmp_path / "model", "bert", tiny, "Model"), pooling)
    exact = load_dense(folder, device="cpu")
    export_encoder(folder, tmp_path / "out", dtype="float32")
    same = load_dense_encoder(tmp_path / "out")
    assert same.dimension == exact.dimension == 40
    assert np.abs(same.encode_dense_documents(DOCUMENTS) - exact.encode_dense_documents(DOCUMENTS)).max() < 1e-5


@pytest.mark.parametrize(
    ("side", "query", "dense"),
    [
        ("table", TowerConfig(prompt="the cat "), DenseConfig(shared_layers=1)),
        ("same", TowerConfig(max_length=9, prompt="dog "), DenseConfig(shared_layers=0, dimension=24)),
        ("same", TowerConfig(expansion="input"), DenseConfig(pooling="cls")),
        ("binary", None, DenseConfig(normalise=False)),
        ("own", TowerConfig(), None),
    ],
)
def test_sides_and_joint_vectors(side: str, query: Any, dense: Any, tiny: Any, tmp_path: Path) -> None:
    plain = save(tmp_path / "plain", "bert", tiny)
    config = EncoderConfig("mine", TowerConfig(max_length=20, prompt="mat ", repeats=0.2), side, query, dense)
    started = start_encoder(config, plain, query=plain if side == "own" else None)
    if dense is not None:
        with torch.no_grad():
            for parameter in started.document.tower.dense_head.parameters():
                parameter.add_(torch.randn_like(parameter) / 10)
    save_encoder(started, tmp_path / "model")
    exact = load_neural(tmp_path / "model", device="cpu")
    export_encoder(tmp_path / "model", tmp_path / "out", dtype="float32")
    same: Any = load_encoder(tmp_path / "out")
    assert np.abs(dense_of(same.encode_documents(DOCUMENTS)) - dense_of(exact.encode_documents(DOCUMENTS))).max() < 1e-4
    assert np.abs(dense_of(same.encode_queries(TEXTS)) - dense_of(exact.encode_queries(TEXTS))).max() < 1e-4
    assert same.description["settings"] == exact.description["settings"]
    if dense is not None:
        assert isinstance(same, JointCompiledEncoder) and same.dimension == exact.dimension  # type: ignore[attr-defined]
        for found, expected in (
            (same.encode_documents_jointly(DOCUMENTS)[1], exact.encode_dense_documents(DOCUMENTS)),  # type: ignore[attr-defined]
            (same.encode_dense_queries(TEXTS), exact.encode_dense_queries(TEXTS)),  # type: ignore[attr-defined]
        ):
            assert np.abs(found - expected).max() < 1e-4


@pytest.fixture(scope="module")
def exported(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    save(folder / "model", "distilbert", tiny)
    export_encoder(folder / "model", folder / "out")
    return folder


def test_indexing_and_searching_with_an_exported_model_need_no_torch(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("the cat sat on the mat")
    (tmp_path / "notes" / "b.txt").write_text("dog running")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers')))\n"
        "from lsr.cli.main import main\n"
        f"assert main(['index', 'notes', '--index', 'i', '--encoder', {str(exported / 'out')!r}]) == 0\n"
        "assert main(['search', 'cat', '--index', 'i', '--json']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["doc_id"] for line in done.stdout.splitlines() if line.startswith("{")} <= {
        "a.txt",
        "b.txt",
    }


def test_the_command_exports_and_says_how_to_use_it(exported: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    assert main(["encoder", "export", str(exported / "model"), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) | {"size_bytes": 0} == {
        "folder": str(out), "kind": "sparse", "dtype": "int8", "size_bytes": 0, "max_length": 64
    }  # fmt: skip
    assert main(["encoder", "export", str(exported / "model"), str(out)]) == 1
    assert "is not an empty folder: give another, or remove it" in capsys.readouterr().err
    assert main(["encoder", "export", str(out), str(tmp_path / "again")]) == 1
    assert "is an exported model already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "deberta-v2"}, "its architecture is 'deberta-v2'"),
        ({"activation": "relu"}, "its activation is 'relu', not 'gelu'"),
        ({"n_heads": 4}, "its 4 attention heads aren't of a multiple of 32 numbers"),
    ],
)
def test_a_model_that_can_not_be_exported_is_refused_with_the_reason(
    exported: Path, tmp_path: Path, change: Any, reason: str
) -> None:
    folder = Path(shutil.copytree(exported / "model", tmp_path / "model"))
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(EncoderError, match=f"can't run without torch: {reason}.*; install torch"):
        export_encoder(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_another_model_are_refused_at_the_export(exported: Path, tiny: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported / "model", tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match="its tokenizer has no fast form"):
        export_encoder(folder, tmp_path / "out")
    other = save(tmp_path / "other", "bert", tiny)
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    shutil.copy(other / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(EncoderError, match="its weights have names of another model"):
        export_encoder(folder, tmp_path / "out")


@pytest.mark.parametrize("name", ["document/model.safetensors", "document/tokenizer.json"])
def test_an_exported_folder_whose_files_do_not_fit_together_is_refused(
    exported: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(exported / "out", tmp_path / "out"))
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EncoderError, match="is of another export, or damaged: its files don't fit together"):
        load_encoder(folder)
    path.unlink()
    with pytest.raises(EncoderError, match=f"{name} is missing: the exported model is not complete"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "has format 2, but this program reads 1"),
        ({"dtype": "int4"}, "dtype 'int4' is not known"),
        ({"models": {}}, "is not as an export writes it"),
        ({"files": {"../x": ""}}, "lies outside the model"),
        ({"model": {"n_heads": 5}}, "attention heads|don't belong together"),
        ({"model": {"n_layers": 3}}, "missing"),
        ({"model": {"n_shared": 9}}, "9 of 2 layers shared"),
        ({"model": {"first_position": 99}}, "first position 99"),
        ({"model": {"max_length": 9999}}, "9999 tokens are read"),
        ({"model": {"epsilon": 0.0}}, "epsilon"),
        ({"query_side": "table"}, "which its files don't fit"),
    ],
)
def test_an_exported_folder_whose_numbers_do_not_fit_is_refused(
    exported: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    folder = Path(shutil.copytree(exported / "out", tmp_path / "out"))
    path = folder / "lsr_export.json"
    values = json.loads(path.read_text())
    values["models"]["document"] |= change.pop("model", {})
    values["encoder"] |= {key: change.pop(key) for key in ("query_side",) if key in change}
    path.write_text(json.dumps(values | change))
    with pytest.raises(EncoderError, match=reason):
        load_encoder(folder)


VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 3, 1.5, 1 << 70, -(1 << 70), 1e308, float("inf"), float("nan"), "", "../..", "9" * 5000, [], {},
    [[]],
)  # fmt: skip


def places_in(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(place for key, value in inner for place in places_in(value, (*path, key)))]


def test_an_exported_folder_of_any_numbers_opens_or_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported / "out", tmp_path / "out"))
    path = folder / "lsr_export.json"
    sound = path.read_text()
    rng = random.Random(1)
    n_refused = 0
    for place in places_in(json.loads(sound))[1:]:
        for value in rng.sample(VALUES, 2):
            holder = values = json.loads(sound)
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = value
            path.write_text(json.dumps(values))
            try:
                load_encoder(folder)
            except LsrError as error:
                n_refused += 1
                assert len(str(error)) < 1000
            except Exception:  # noqa: BLE001  with the place, by which it is found again
                pytest.fail(f"{place}: {value!r:.60}\n{traceback.format_exc()[-1500:]}")
    assert n_refused > 40


def test_an_exported_folder_reads_nothing_but_its_models(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported / "out", tmp_path / "out"))
    (folder / "document").rename(tmp_path / "elsewhere")
    values = json.loads((folder / "lsr_export.json").read_text())
    values["models"] = {"document": values["models"]["document"], "../elsewhere": values["models"]["document"]}
    (folder / "lsr_export.json").write_text(json.dumps(values | {"files": {}}))
    with pytest.raises(EncoderError, match=r"models 'document', '\.\./elsewhere' are not known"):
        load_encoder(folder)


@pytest.mark.parametrize("name", ["lsr_export.json", "document/model.safetensors", "document/tokenizer.json"])
def test_an_exported_folder_is_of_files(exported: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(exported / "out", tmp_path / "out"))
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(LsrError):
        load_encoder(folder)


@pytest.mark.parametrize(
    "change", [{"shape": [1.0, 1]}, {"shape": [True]}, {"data_offsets": [0.0, 4]}, {"dtype": []}, {"shape": [1 << 80]}]
)
def test_weights_of_any_header_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | change}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(EncoderError, match="is no safetensors file, or a part of one"):
        Tensors(path)


def test_what_an_exported_model_can_not_do_is_refused(exported: Path) -> None:
    with pytest.raises(EncoderError, match="was exported in int8, not float32: leave out dtype, or export it again"):
        load_encoder(exported / "out", dtype="float32")
    with pytest.raises(UsageError, match="an exported model runs on the CPU, but device is 'cuda'"):
        load_encoder(exported / "out", device="cuda")
    with pytest.raises(UsageError, match="says its family itself: leave out family 'splade-doc'"):
        load_encoder(exported / "out", family="splade-doc")
    with pytest.raises(EncoderError, match="is an exported sparse encoder: give it as --encoder"):
        load_dense_encoder(exported / "out")


def test_an_exported_head_is_screened_with_the_numbers_of_the_whole_one(exported: Path) -> None:
    encoder = load_encoder(exported / "out")
    assert isinstance(encoder, CompiledEncoder)
    weights = encoder.document.weights
    assert weights.head is not None and weights.head.screen is not None
    screened = encoder.encode_documents(DOCUMENTS)
    encoder.document._forward.weights = replace(weights, head=weights.head._replace(screen=None))
    whole = encoder.encode_documents(DOCUMENTS)
    assert np.array_equal(screened.term_ids, whole.term_ids) and np.array_equal(screened.weights, whole.weights)


def test_int8_is_hinted_at_where_torch_runs_what_the_kernels_could(exported: Path) -> None:
    name = str(exported / "model")
    model = load_neural(name, device="cpu")
    hint = int8_hint(name, model, None)
    assert hint is not None and hint.startswith(f"{name} encodes in float32 by torch; --dtype int8 takes about a third")
    assert int8_hint(name, model, "float32") is None
    assert int8_hint(name, load_encoder(exported / "out"), None) is None
    assert int8_hint("bm25", load_encoder("bm25"), None) is None
