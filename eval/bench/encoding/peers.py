"""Other runtimes of the bundled model's weights: Sentence-Transformers on torch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.read_weights import weights_file
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.errors import MissingExtraError
from lsr.models import bundled_folder
from lsr.types import SparseBatch

Encode = Callable[[Sequence[str]], SparseBatch]
Run = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float32]]

BATCH, LENGTH = 32, 256
"""Passages of a batch, which are of similar length, and tokens that are read."""


def open_peers(folder: Path, threads: int) -> tuple[dict[str, Encode], list[str]]:
    """Return the runtimes that are installed, by name, and notes on the others. folder: for their models."""
    if find_spec("torch") is None or find_spec("sentence_transformers") is None:
        raise MissingExtraError("sentence-transformers", "dev")
    import torch

    torch.set_num_threads(threads)
    checkpoint = folder / "checkpoint"
    if not checkpoint.is_dir():
        _write_checkpoint(checkpoint)
    found = {
        "sentence-transformers, torch float32": _sentence_transformers(checkpoint, None),
        "sentence-transformers, torch bfloat16": _sentence_transformers(checkpoint, "bfloat16"),
    }
    notes = []
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        return found, ["onnx and onnxscript aren't installed: no rows of ONNX Runtime and OpenVINO"]
    graph = folder / "model.onnx"
    if not graph.is_file():
        _write_graph(checkpoint, graph)
    tokenizer = _tokenizer(checkpoint)
    if find_spec("onnxruntime") is None:
        notes.append("onnxruntime isn't installed")
    else:
        integers = folder / "model-int8.onnx"
        if not integers.is_file():
            _write_integers(graph, integers)
        for name, path in (("float32", graph), ("int8", integers)):
            found[f"ONNX Runtime, {name}"] = _batched(tokenizer, _onnx_runtime(path, threads))
    if find_spec("openvino") is None:
        notes.append("openvino isn't installed")
    else:
        for name in ("f32", "bf16"):
            found[f"OpenVINO, {name}"] = _batched(tokenizer, _openvino(graph, threads, name))
        if (folder / "model-int8.onnx").is_file():
            found["OpenVINO, int8"] = _batched(tokenizer, _openvino(folder / "model-int8.onnx", threads, "bf16"))
    return found, notes


def _write_checkpoint(folder: Path) -> None:
    """Write the bundled model as a plain masked-LM checkpoint of transformers, in float32."""
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM

    bundled = bundled_folder("default")
    assert bundled is not None
    source = bundled / "document"
    model: Any = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(source))
    path = weights_file(source)
    assert path is not None
    tensors = Tensors(path)
    state = {name: torch.from_numpy(np.array(tensors.get(name))) for name in model.state_dict() if name in tensors}
    lacking = set(model.load_state_dict(state, strict=False).missing_keys)
    model.tie_weights()
    assert all("decoder" in name or "position_ids" in name for name in lacking), lacking
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())


def _sentence_transformers(folder: Path, dtype: str | None) -> Encode:
    from sentence_transformers import SparseEncoder

    model: Any = SparseEncoder(str(folder), device="cpu", model_kwargs={"dtype": dtype} if dtype else None)
    model.max_seq_length = LENGTH

    def encode(texts: Sequence[str]) -> SparseBatch:
        rows = model.encode_document(list(texts), batch_size=BATCH, convert_to_sparse_tensor=True).coalesce()
        n, vocab_size = rows.shape
        (of_rows, terms), weights = rows.indices().numpy(), rows.values().float().numpy()
        indptr = np.concatenate(([0], np.cumsum(np.bincount(of_rows, minlength=n)))).astype(np.int64)
        return SparseBatch(indptr, terms.astype(np.int32), weights.astype(np.float32), vocab_size)

    return encode


def _write_graph(checkpoint: Path, path: Path) -> None:
    """Write the model, pooled over tokens and activated, as an ONNX graph in float32."""
    import torch
    from transformers import AutoModelForMaskedLM

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model: Any = AutoModelForMaskedLM.from_pretrained(checkpoint, attn_implementation="eager")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            return torch.log1p(torch.relu(logits) * attention_mask.unsqueeze(-1)).amax(1)

    example = torch.ones((2, 16), dtype=torch.int64)
    batch, tokens = torch.export.Dim("batch", min=1, max=256), torch.export.Dim("tokens", min=2, max=512)
    axes = {0: batch, 1: tokens}
    torch.onnx.export(
        Pooled().eval(),
        (example, example.clone()),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["weights"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        dynamo=True,
        external_data=False,
    )


def _write_integers(graph: Path, path: Path) -> None:
    """Round the graph's weights to bytes, one scale an output, with activations rounded when it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        graph, path, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
    )


def _onnx_runtime(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def _openvino(path: Path, threads: int, precision: str) -> Run:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    return lambda ids, mask: next(iter(compiled({"input_ids": ids, "attention_mask": mask}).values()))


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding()
    return tokenizer


def _batched(tokenizer: Any, run: Run) -> Encode:
    """Return a function that encodes texts in batches of similar length, as Sentence-Transformers does."""

    def batches(texts: Sequence[str]) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            encoded = tokenizer.encode_batch([texts[i] for i in part])
            ids, mask = (
                np.array([getattr(one, name) for one in encoded], np.int64) for name in ("ids", "attention_mask")
            )
            yield part, run(ids, mask)

    def encode(texts: Sequence[str]) -> SparseBatch:
        rows: list[Any] = [None] * len(texts)
        vocab_size = 0
        for part, weights in batches(texts):
            vocab_size = weights.shape[1]
            for i, row in zip(part, weights, strict=True):
                terms = np.flatnonzero(row > 0)
                rows[i] = terms.astype(np.int32), row[terms].astype(np.float32)
        indptr = np.concatenate(([0], np.cumsum([len(terms) for terms, _ in rows]))).astype(np.int64)
        return SparseBatch(
            indptr, np.concatenate([terms for terms, _ in rows]), np.concatenate([of for _, of in rows]), vocab_size
        )

    return encode
