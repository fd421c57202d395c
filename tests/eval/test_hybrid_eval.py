"""`lsr eval --hybrid`: both legs and their fusions side by side, and a warning where a fusion loses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.cli.main import main
from lsr.encoders import registry
from lsr.encoders.registry import load_encoder
from lsr.eval.systems import hybrid as hybrids
from lsr.eval.systems.dense_feedback import DENSE, NAMES, feedback_runs
from lsr.eval.systems.hybrid import losses
from lsr.indexer.pipeline import index_documents
from lsr.query.feedback import Feedback
from lsr.query.fusion.registry import make_fuser
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher
from lsr.types import Document

TEXTS = {f"d{i}": " ".join(f"word{j}" for j in range(i, i + 5)) for i in range(40)}


class Letters:
    """A dense encoder without a model: which digits stand in a text; `wrong` turns it against the truth."""

    dimension = 10

    def __init__(self, *, wrong: bool = False) -> None:
        self.wrong = wrong
        self.description: Mapping[str, Any] = {
            "kind": "dense",
            "name": "letters",
            "revision": str(wrong),
            "settings": {"normalise": True},
        }

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self._rows([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return -self._rows(texts) if self.wrong else self._rows(texts)

    def _rows(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = np.array([[text.count(digit) for digit in "0123456789"] for text in texts], np.float32)
        unit: npt.NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return unit


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    rows = ({"_id": doc_id, "text": text} for doc_id, text in TEXTS.items())
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries = ({"_id": f"q{i}", "text": TEXTS[f"d{i}"]} for i in range(2, 30, 3))
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    judged = "".join(f"q{i}\td{i}\t1\n" for i in range(2, 30, 3))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


def use(monkeypatch: pytest.MonkeyPatch, encoder: Letters) -> None:
    monkeypatch.setattr(hybrids, "load_dense_encoder", lambda *_, **__: encoder)
    monkeypatch.setattr(registry, "open_dense_encoder", lambda *_, **__: encoder)


def evaluate(dataset: Path, cache: Path, *args: str) -> int:
    return main(["eval", str(dataset), "--encoder", "bm25", "--hybrid", "--cache", str(cache), "--json", *args])


def test_legs_and_fusions_stand_side_by_side(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Letters())
    assert evaluate(dataset, tmp_path, "--dense", "models/letters", "--fusion", "rrf", "--fusion", "min-max") == 0
    results = [row for row in map(json.loads, capsys.readouterr().out.splitlines()) if "measures" in row]
    fused = [f"{mode} {method}{more}" for mode in ("rerank", "union") for method in ("rrf", "min-max")
             for more in ("", " + neighbours")]  # fmt: skip
    assert [row["system"] for row in results][:10] == ["bm25", *(f"bm25+letters: {name}" for name in ("dense", *fused))]
    assert all(0 < row["measures"]["nDCG@10"] <= 1 for row in results)


def test_feedback_in_the_dense_leg_is_measured_with_the_sparse_one_mixed_in(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Letters())
    assert evaluate(dataset, tmp_path, "--dense", "letters", "--feedback", "2", "--measures", "nDCG@10") == 0
    rows = {}
    for row in map(json.loads, capsys.readouterr().out.splitlines()):
        if "measures" in row:
            rows[row["system"]] = row["measures"]["nDCG@10"]
    both = "bm25+letters: "
    fed = ["dense+feedback", *(f"feedback, sparse {when}" for when in ("before", "after", "both"))]
    assert {*(both + name for name in fed), both + "feedback in both legs", "bm25+feedback"} <= set(rows)
    assert all(0 < value <= 1 for value in rows.values())


def test_dense_feedback_moves_the_query_to_its_first_documents(tmp_path: Path) -> None:
    encoder = Letters()
    documents = [Document(doc_id, text) for doc_id, text in TEXTS.items()]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"), dense=encoder)
    searcher = Searcher(tmp_path / "index")
    texts = {"q1": "word3 word4", "q2": "word17"}
    queries = Queries(searcher.encode(list(texts.values())), encoder.encode_dense_queries(list(texts.values())))
    feedback = Feedback(n_docs=3, beta=2.0)
    dataset: Any = SimpleNamespace(queries=texts)
    runs = feedback_runs(searcher, queries, dataset, 5, feedback, make_fuser())
    assert list(runs) == list(NAMES)
    rows = encoder.encode_dense_documents(documents).astype(np.float16).astype(np.float32)
    for query_id, text in texts.items():
        (query,) = encoder.encode_dense_queries([text])
        first = np.lexsort((np.arange(40), -(rows @ query)))[:3]
        moved = query + 2.0 * (rows[first] / np.linalg.norm(rows[first], axis=1, keepdims=True)).mean(axis=0)
        best = np.sort(rows @ moved)[::-1][:5] / np.linalg.norm(moved)
        found = [int(doc_id[1:]) for doc_id in runs[DENSE][query_id]]
        assert (rows @ moved)[found] / np.linalg.norm(moved) == pytest.approx(best, abs=1e-5)
        assert all(len(run[query_id]) == 5 for run in runs.values())


def test_a_joint_encoder_encodes_each_document_once(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    from lsr.encoders.config import DenseConfig, EncoderConfig
    from lsr.encoders.pretrained.load_encoder import start_encoder
    from lsr.encoders.pretrained.save_encoder import save_encoder
    from lsr.encoders.sparse.joint import JointNeuralEncoder

    words = ["[PAD]", "[UNK]", "[MASK]", *(f"word{i}" for i in range(45))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **names).save_pretrained(tmp_path / "mlm")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path / "mlm")
    joint = start_encoder(EncoderConfig("mine", dense=DenseConfig()), tmp_path / "mlm")
    save_encoder(joint, tmp_path / "joint")
    passes: list[str] = []
    for name in ("encode_documents", "encode_documents_jointly", "encode_dense_documents"):
        original = getattr(JointNeuralEncoder, name)

        def counting(self: Any, documents: Any, name: str = name, original: Any = original) -> Any:
            passes.extend([name] * len(documents))
            return original(self, documents)

        monkeypatch.setattr(JointNeuralEncoder, name, counting)
    args = ["eval", dataset, "--encoder", tmp_path / "joint", "--hybrid", "--cache", tmp_path / "cache", "--json"]
    assert main([str(arg) for arg in args]) == 0
    assert passes == ["encode_documents_jointly"] * len(TEXTS)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(row.get("system") == "joint+joint: dense" for row in rows), [row.get("system") for row in rows]


def test_a_fusion_that_loses_to_a_leg_is_told(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Letters(wrong=True))
    assert evaluate(dataset, tmp_path) == 0
    said = capsys.readouterr().err
    assert "warning: small: bm25+all-MiniLM-L6-v2: union min-max loses to its leg bm25: nDCG@10" in said


def test_vectors_of_another_model_are_replaced(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for encoder in (Letters(wrong=True), Letters()):
        use(monkeypatch, encoder)
        assert evaluate(dataset, tmp_path) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        found.append(next(row["measures"]["nDCG@10"] for row in rows if row.get("system", "").endswith(": dense")))
    assert found[0] < found[1]


def test_losses_are_against_the_better_leg() -> None:
    def result(name: str, value: float) -> Any:
        return SimpleNamespace(system=name, measures={"m": value}, dataset=SimpleNamespace(name="set"))

    found = losses([result("a", 0.4), result("b", 0.5), result("x", 0.45), result("y", 0.5)], "m")
    assert [str(loss) for loss in found] == ["set: x loses to its leg b: m 0.4500, 0.5000 alone"]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--fusion", "learned"], "--hybrid and --rerank take no learned fusion"),
        (["--fusion", "best"], "unknown fusion 'best'"),
    ],
)
def test_bad_options_are_refused(
    dataset: Path, tmp_path: Path, args: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(dataset, tmp_path, *args) == 2
    assert error in capsys.readouterr().err
    assert main(["eval", str(dataset), "--dense", "d", "--cache", str(tmp_path)]) == 2
    assert "--dense goes with --hybrid or --rerank" in capsys.readouterr().err
