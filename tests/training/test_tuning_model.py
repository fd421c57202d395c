"""A model adapted to an index: taught by its own hybrid on made queries, compared on others, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lsr
from lsr.cli.main import main
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import EncoderKind, load_encoder, register
from lsr.errors import LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.storage.index import StoredIndex
from lsr.training.config.config import make_config
from lsr.training.train import train
from lsr.training.tuning import model, taught
from lsr.training.tuning.model import adapt_model
from lsr.training.tuning.probes import Judgements
from lsr.types import Document

SETTINGS: Mapping[str, Any] = {"train": {"batch_size": 4, "learning_rate": 1e-3, "warmup": 0, "log_every": 1}}
OPTIONS: Mapping[str, Any] = {"minutes": 60.0, "steps": 2, "n_queries": 12, "n_held_out": 8, "settings": SETTINGS}


class Hashed:
    """A dense encoder without a model: words at random directions."""

    dimension = 16
    description: Mapping[str, Any] = {
        "kind": "hashed", "name": "hashed", "revision": "1", "settings": {"normalise": True},
    }  # fmt: skip

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        rows = []
        for text in texts:
            seeds = [int.from_bytes(word.encode()[-4:], "little") for word in text.split()]
            rows.append(sum((np.random.default_rng(seed).normal(size=16) for seed in seeds), np.full(16, 0.01)))
        found = np.array(rows, np.float32).reshape(-1, 16)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def open_hashed(description: Mapping[str, Any], **options: Any) -> Hashed:
    return Hashed()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, random_model: Path, toy: Any) -> Path:
    """An index of texts of the toy's words, by a saved model of random weights."""
    register(EncoderKind("hashed", open_dense=open_hashed))
    folder = tmp_path_factory.mktemp("adapted")
    save_encoder(start_encoder(family_config("inference-free"), random_model, device="cpu"), folder / "model")
    words = sorted({word for document in toy.documents for word in document.text.split()})
    chance = np.random.default_rng(5)
    documents = [
        Document(f"d{n}", " ".join(chance.choice(words, 24)), " ".join(chance.choice(words, 3))) for n in range(60)
    ]
    encoder = load_encoder(folder / "model", device="cpu")
    index_documents(documents, folder / "index", encoder, dense=Hashed(), threads=1)
    return folder / "index"


@pytest.fixture(scope="module")
def adapted(path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, model.Adapted]:
    output = tmp_path_factory.mktemp("run") / "tuned"
    return output, adapt_model(path, output, **OPTIONS)


def test_a_model_is_trained_and_compared(path: Path, adapted: tuple[Path, model.Adapted]) -> None:
    output, found = adapted
    assert found.steps == 2 and found.n_held_out == 8 and 4 <= found.n_examples <= 12
    assert 0 <= found.before <= 1 and 0 <= found.after <= 1
    assert not found.is_better or found.after > found.before
    assert found.model == output / "run" / "model" and load_encoder(found.model).encode_queries(["key01"]).nnz
    lines = [json.loads(line) for line in (output / "examples.jsonl").read_text().splitlines()]
    assert len(lines) == found.n_examples
    for line in lines:
        assert len(line["documents"]) == len(line["scores"]) == 1 + model.NEGATIVES
        ids = [doc_id for doc_id, _, _ in line["documents"]]
        assert len(set(ids)) == len(ids), "a document is no negative of its own query"
    with StoredIndex.open(path) as index:
        assert index.manifest.generation == 1, "the index stays as it is"


def test_an_adaptation_resumes(
    path: Path, adapted: tuple[Path, model.Adapted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, found = adapted

    def refuse(*args: Any, **options: Any) -> Any:
        raise LsrError("nothing more is to be done")

    monkeypatch.setattr("lsr.training.train.train", refuse)
    assert adapt_model(path, output, **OPTIONS) == found, "one that has ended"
    with pytest.raises(LsrError, match="nothing more"):
        adapt_model(path, tmp_path / "again", **OPTIONS)
    examples = (tmp_path / "again" / "examples.jsonl").read_bytes()
    assert examples == (output / "examples.jsonl").read_bytes(), "the same seed makes the same examples"
    monkeypatch.setattr(taught, "collect", refuse)
    monkeypatch.setattr("lsr.training.train.train", train)
    again = adapt_model(path, tmp_path / "again", **OPTIONS)
    assert replace(again, model=found.model) == found, "examples that were made before are taken"


@pytest.fixture(scope="module")
def judgements(path: Path) -> Judgements:
    """24 queries: two words of a document, which is relevant, as is the next one, less."""
    with StoredIndex.open(path) as index:
        texts = {document.doc_id: document.text for _, document in index.placed_documents()}
    queries = {f"q{n}": " ".join(texts[f"d{n}"].split()[:2]) for n in range(24)}
    return queries, {f"q{n}": {f"d{n}": 2, f"d{n + 1}": 1, f"d{n + 2}": 0} for n in range(24)}


def test_judged_queries_are_taught_and_compare_the_models(path: Path, judgements: Judgements, tmp_path: Path) -> None:
    found = adapt_model(path, tmp_path / "run", judged=judgements, **{**OPTIONS, "n_held_out": 200})
    assert found.queries == "judged queries" and found.n_held_out == 12
    lines = [json.loads(line) for line in (tmp_path / "run" / "examples.jsonl").read_text().splitlines()]
    texts, qrels = judgements
    numbers = {text: query_id for query_id, text in texts.items()}
    judged = [line for line in lines if line["query"] in numbers]
    assert len({line["query"] for line in lines}) > 12 and 12 <= len(judged) <= 24
    assert len({line["query"] for line in judged}) == 12, "the other half compares the models"
    for line in judged:
        relevant = {doc_id for doc_id, gain in qrels[numbers[line["query"]]].items() if gain > 0}
        (first, *others) = [doc_id for doc_id, _, _ in line["documents"]]
        assert first in relevant and not relevant & set(others)
        assert line["scores"][0] >= max(line["scores"]), "what people judged is above what a search says"


def test_the_model_of_an_index_in_hand_is_trained(
    path: Path, adapted: tuple[Path, model.Adapted], tmp_path: Path
) -> None:
    output, before = adapted
    with lsr.open(path) as index:
        found = index.tune_model(output, minutes=3)
        assert (found.model, found.steps, found.is_better) == (before.model, 2, before.is_better)
        assert (found.before, found.after, found.n_held_out) == (before.before, before.after, 8)
        for minutes in (0, -1, float("inf"), float("nan"), True, "3"):
            with pytest.raises(UsageError, match="minutes is"):
                index.tune_model(tmp_path / "x", minutes=minutes)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_few_judged_queries_are_refused(path: Path, judgements: Judgements, tmp_path: Path) -> None:
    queries, qrels = judgements
    few = {query_id: qrels[query_id] for query_id in list(qrels)[:19]}
    with pytest.raises(LsrError, match=r"19 judged queries .* needs 20"):
        adapt_model(path, tmp_path / "run", judged=(queries, few), **OPTIONS)


def test_a_training_ends_after_its_minutes(random_model: Path, toy: Any, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "encoder": {"start": str(random_model), "family": "inference-free", "dropout": 0.0},
        "data": {"negatives": 1},
        "loss": {"infonce": {}},
        "train": {"steps": 50, "minutes": 1e-9, "batch_size": 8},
    }
    result = train(make_config(values), tmp_path / "run", examples=toy.examples())
    assert result.record["steps"] == 1 and result.model.is_dir()
    with pytest.raises(UsageError, match=r"train.minutes is 0.0, but has to be above 0"):
        make_config({**values, "train": {"steps": 5, "minutes": 0}})


def test_what_can_not_be_adapted_is_refused(path: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    documents = [Document("a", "one two three")]
    index_documents(documents, words, load_encoder("bm25"), dense=Hashed(), threads=1)
    with pytest.raises(UsageError, match="can't be trained"):
        adapt_model(words, tmp_path / "x", minutes=1)
    with pytest.raises(LsrError, match="needs more than 500"):
        adapt_model(path, tmp_path / "y", **{**OPTIONS, "n_held_out": 500})
    index_documents(documents, tmp_path / "set", load_encoder("bm25"), dense=Hashed(), shards=Partition(1))
    with pytest.raises(UsageError, match="is a set of shards"):
        adapt_model(tmp_path / "set", tmp_path / "z", minutes=1)


def test_the_command_needs_a_time_and_a_folder(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (
        (["--minutes", "3"], "give both --minutes and --output"),
        (["--output", "x"], "give both --minutes and --output"),
        (["--minutes", "3", "--output", "x", "--judged", "q"], "give those of the queries by --queries"),
        (["--minutes", "3", "--output", "x", "--queries", "q"], "name their qrels by --judged"),
        (["--reset", "--minutes", "3"], "leave out --minutes"),
    ):
        assert main(["tune", "--index", str(path), *wrong]) == 2
        assert message in capsys.readouterr().err


def test_the_command_says_what_became_of_it(
    path: Path, adapted: tuple[Path, model.Adapted], capsys: pytest.CaptureFixture[str]
) -> None:
    output, found = adapted
    args = ["tune", "--index", str(path), "--minutes", "3", "--output", str(output)]
    assert main(args) == 0
    done = capsys.readouterr()
    assert ("is better" in done.out) == found.is_better and "8 other made queries" in done.err
    assert main([*args, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_examples"] == found.n_examples
