"""Negatives that a training finds for itself: at its start, and anew by the encoder as it is then."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError, UsageError
from lsr.training.config.config import make_config
from lsr.training.config.data import MiningSettings
from lsr.training.config.toml_values import with_overrides
from lsr.training.data.example import Example
from lsr.training.data.sources.table import ExampleTable
from lsr.training.mining.hard_negatives import MiningOptions, mine
from lsr.training.mining.refresh import Refresher
from lsr.training.run_folder.checkpoints import finished_checkpoints
from lsr.training.run_folder.log import read_log
from lsr.training.train import TrainingInterruptedError, train
from lsr.types import Document

pytestmark = pytest.mark.usefixtures("without_plots")


def config_of(model: Path, *changes: str) -> Any:
    values = {
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.1, "learn_query_table": True},
        "data": {"negatives": 2, "mining": {"every": 6, "depth": 10}},
        "loss": {"infonce": {}},
        "sparsity": {"documents": {"target": 8.0}, "sampled_terms": 30},
        "train": {"steps": 20, "batch_size": 16, "learning_rate": 3e-3, "log_every": 5, "checkpoint_every": 4},
    }  # fmt: skip
    return make_config(with_overrides(values, changes))


def lonely(toy: Any) -> list[Example]:
    return [Example(example.query, example.documents[:1]) for example in toy.examples()]


def mined_of(run: Path) -> dict[str, list[Example]]:
    found = {}
    for folder in sorted((run / "negatives").iterdir()):
        table = ExampleTable(folder)
        found[folder.name] = [table[i] for i in range(len(table))]
    return found


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, random_model: Path, toy: Any, logging_to: Callable[..., Any]
) -> tuple[Path, list[str]]:
    """A run that was never interrupted, and what it logged."""
    output = tmp_path_factory.mktemp("whole") / "run"
    lines: list[str] = []
    with logging_to(lines):
        train(config_of(random_model), output, examples=lonely(toy))
    return output, lines


def test_the_encoder_of_the_checkpoint_finds_what_the_next_steps_learn_from(
    whole: tuple[Path, list[str]], tmp_path: Path, toy: Any
) -> None:
    output, lines = whole
    assert [line for line in lines if line.startswith(("mining", "resuming"))] == [
        line
        for step in (6, 12, 18)
        for line in (
            f"mining 2 negatives for each of 256 examples with the encoder of step {step}",
            f"resuming from step {step} of 20",
        )
    ]
    mined = mined_of(output)
    assert list(mined) == ["step-12-mined", "step-18-mined"], "what no checkpoint needs is removed"
    encoder = load_encoder(output / "checkpoints" / "checkpoint-18" / "model")
    mining = MiningOptions(negatives=2, depth=10, seed=18)
    assert mined["step-18-mined"] == list(mine(lonely(toy), encoder, tmp_path / "index", mining=mining, threads=1))
    assert [row["step"] for row in read_log(output / "log.csv")] == [1, 5, 10, 15, 20]


@pytest.mark.parametrize("stop", [6, 11])
def test_a_resumed_run_equals_the_uninterrupted(
    stop: int, whole: tuple[Path, list[str]], tmp_path: Path, random_model: Path, toy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from lsr.training.trainer import SparseTrainer

    end_step = SparseTrainer.end_step

    def interrupted(self: SparseTrainer) -> None:
        end_step(self)
        if self.state.global_step == stop:
            signal.raise_signal(signal.SIGINT)

    config, output = config_of(random_model), tmp_path / "run"
    with monkeypatch.context() as patched, pytest.raises(TrainingInterruptedError):
        patched.setattr(SparseTrainer, "end_step", interrupted)
        train(config, output, examples=lonely(toy))
    assert finished_checkpoints(output / "checkpoints")[-1].step == stop
    train(config, output, resume=True, examples=lonely(toy))
    assert mined_of(output) == mined_of(whole[0])
    for path in (whole[0] / "model").rglob("*.safetensors"):
        other = load_file(output / "model" / path.relative_to(whole[0] / "model"))
        assert all((other[name] == value).all() for name, value in load_file(path).items())


def test_what_was_mined_and_is_gone_is_mined_again_or_named(
    tmp_path: Path, random_model: Path, toy: Any, whole: tuple[Path, list[str]], logged: pytest.LogCaptureFixture
) -> None:
    config = config_of(random_model)
    refresher = Refresher(config, tmp_path, open_teacher=lambda _: None, device="cpu")
    encoder: Any = load_encoder(random_model)
    checkpoints = finished_checkpoints(whole[0] / "checkpoints")
    assert [checkpoint.step for checkpoint in checkpoints] == [18, 20]
    found = refresher.examples(lonely(toy), encoder, checkpoints)
    assert [found[i] for i in range(len(found))] == mined_of(whole[0])["step-18-mined"]
    assert len(refresher.examples(lonely(toy), encoder, checkpoints)) == 256
    assert sum(line.startswith("mining") for line in logged.messages) == 1, "mined once"
    other = Refresher(config, tmp_path / "other", open_teacher=lambda _: None, device="cpu")
    with pytest.raises(LsrError, match=r"step-18-mined is gone.* start again with --overwrite"):
        other.examples(lonely(toy), encoder, checkpoints[1:])


@pytest.mark.parametrize("first", ["bm25", "start"])
def test_the_first_negatives_may_be_found_too(first: str, tmp_path: Path, random_model: Path, toy: Any) -> None:
    config = config_of(
        random_model, f"data.mining.first={first}", "data.mining.every=0", "loss.margin.weight=1", "train.steps=2"
    )
    train(config, tmp_path / "run", examples=lonely(toy))
    ((name, mined),) = mined_of(tmp_path / "run").items()
    assert name == "step-0-mined" and all(len(example.documents) == 3 for example in mined)
    shared = [[len(set(e.query.split()) & set(d.text.split())) for d in e.documents[1:]] for e in mined]
    assert first != "bm25" or np.min(shared) >= 1, "what BM25 finds shares a word with the query"


def test_a_teacher_keeps_out_what_it_finds_too_good(
    tmp_path: Path, random_model: Path, toy: Any, key_teacher: Callable[[Any], Any]
) -> None:
    changes = ("data.mining.first=bm25", "data.mining.teacher=keys", "data.mining.max_teacher_ratio=0.5")
    config = config_of(random_model, *changes, "data.mining.every=0", "train.steps=2")
    train(config, tmp_path / "run", examples=lonely(toy), teachers=key_teacher)
    (mined,) = mined_of(tmp_path / "run").values()
    scores = [[toy.score(e.query, d) / toy.score(e.query, e.documents[0]) for d in e.documents[1:]] for e in mined]
    assert max(max(of_one, default=0) for of_one in scores) <= 0.5


def test_negatives_come_from_the_candidate_pool_too_but_not_from_test_collections(
    tmp_path: Path, random_model: Path, toy: Any
) -> None:
    from lsr.training.data.load import candidate_documents

    sentence = " ".join(f"word{i}" for i in range(14))
    (tmp_path / "more.jsonl").write_text(
        f'{{"_id": "clean", "text": "key01 nothing else"}}\n{{"_id": "tested", "text": "{sentence}"}}\n'
    )
    tested = tmp_path / "tested"
    toy.save_beir(tested)
    with (tested / "corpus.jsonl").open("a") as file:
        file.write(f'{{"_id": "x", "title": "", "text": "{sentence}"}}\n')
    config = config_of(random_model, f"data.mining.candidate_pool={tmp_path / 'more.jsonl'}")
    assert [d.doc_id for d in candidate_documents(lonely(toy), config.data)] == ["clean", "tested"]
    config = config_of(
        random_model, f"data.mining.candidate_pool={tmp_path / 'more.jsonl'}", f"data.check_overlap={tested}"
    )
    assert list(candidate_documents(lonely(toy), config.data)) == [Document("clean", "key01 nothing else")]


def test_which_negatives_a_step_sees() -> None:
    mining = MiningSettings(first="bm25", every=10)
    assert [mining.mined_after(step, steps=30) for step in (0, 9, 10, 19, 20, 29, 30)] == [0, 0, 10, 10, 20, 20, 20]
    assert [step for step in range(31) if mining.is_due(step, steps=30)] == [10, 20]
    assert MiningSettings(every=10).mined_after(9, steps=30) is None
    assert not MiningSettings(first="start").is_due(10, steps=30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.mining.every=0"], "mines nothing"),
        (["data.negatives=0"], "data.negatives is 0"),
        (["data.mining.depth=1"], "depth is 1"),
        (["loss.kl.weight=1", 'teacher=[{name="file"}]'], "teacher 'file' has scores"),
    ],
)
def test_settings_that_cannot_be(changes: list[str], message: str, random_model: Path) -> None:
    with pytest.raises(UsageError, match=message):
        config_of(random_model, *changes)
