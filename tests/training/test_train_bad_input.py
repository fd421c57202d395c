"""What can't work is refused before the first step, with what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.cli.main import main
from lsr.errors import LsrError, UsageError
from lsr.training import preflight as checks
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import with_overrides
from lsr.training.data.example import Example
from lsr.training.run_folder.folder import locked
from lsr.training.train import train
from lsr.types import Document


def config_of(model: Path, *changes: str) -> Any:
    values = {
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.0},
        "data": {"negatives": 2},
        "loss": {"infonce": {}},
        "sparsity": {"documents": {"target": 8.0}},
        "train": {"steps": 2, "batch_size": 8, "learning_rate": 1e-3},
    }
    return make_config(with_overrides(values, list(changes)))


@pytest.fixture
def refused(tmp_path: Path, random_model: Path, toy: Any) -> Callable[..., str]:
    """Train with changes, and return the error's text."""

    def run(*changes: str, examples: Any = None, teachers: Any = None, model: Path = random_model) -> str:
        with pytest.raises(LsrError) as caught:
            train(config_of(model, *changes), tmp_path / "run",
                  examples=toy.examples() if examples is None else examples, teachers=teachers)  # fmt: skip
        assert not list((tmp_path / "run").rglob("checkpoint-*")), "refused before a step"
        return str(caught.value)

    return run


def test_fewer_examples_than_a_step_takes(refused: Any, toy: Any) -> None:
    text = refused("train.batch_size=8", "train.accumulate=2", examples=toy.examples()[:12])
    assert text.startswith("12 examples, but a step takes 16") and "set train.batch_size to 6" in text


def test_empty_texts(refused: Any, toy: Any) -> None:
    examples = toy.examples()
    broken = [*examples[:5], Example("  ", examples[5].documents), *examples[6:]]
    assert refused(examples=broken) == "example 5: its query is empty: remove it"
    broken[5] = Example("key01", (examples[5].documents[0], Document("lost", " ")))
    assert "example 5, query 'key01': document 'lost' is empty" in refused(examples=broken)


def test_losses_over_own_documents_without_negatives(refused: Any, toy: Any) -> None:
    lonely = [Example(example.query, example.documents[:1]) for example in toy.examples()]
    assert "has 0 negatives" in refused("loss.margin.weight=1", examples=lonely)
    assert "mine negatives with `lsr mine`" in refused("loss.margin.weight=1", "data.negatives=0")


def test_a_teacher_without_scores(refused: Any) -> None:
    assert "has no scores, but teacher 'file'" in refused("loss.kl.weight=1", 'teacher=[{name="file"}]')

    class Forgetful:
        name = "forgetful"

        def scores(self, queries: Any, documents: Any, wanted: Any = None) -> Any:
            scores = np.ones((len(queries), len(documents)), np.float32)
            scores[0, 1] = np.nan
            return scores

    text = refused("loss.kl.weight=1", 'teacher=[{name="forgetful"}]', teachers=lambda _: Forgetful())
    assert text.startswith("teacher 'forgetful' has no score for query ") and "(1 pairs of this batch)" in text


def test_a_checkpoint_that_gives_nothing_or_the_same_for_all(refused: Any, tmp_path: Path, random_model: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    for bias, expected in ((-1000.0, "no document has a term"), (1000.0, "all documents score the same")):
        model = AutoModelForMaskedLM.from_pretrained(random_model)
        with torch.no_grad():
            model.cls.predictions.transform.LayerNorm.weight.zero_()
            model.cls.predictions.bias.fill_(bias)
        folder = tmp_path / f"flat{bias}"
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(random_model).save_pretrained(folder)
        assert expected in refused("train.steps=2", "encoder.family=splade-doc", model=folder)


def test_too_little_memory_names_the_batch_that_would_fit(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "free_bytes", lambda device: 6_000_000)
    text = refused("train.batch_size=32")
    assert text.startswith("too little memory: 96 texts at a time take about")
    fitting = re.search(r"train\.(batch_size|cached_batch) (\d+) would fit", text)
    assert fitting is not None and int(fitting[2]) < {"batch_size": 32, "cached_batch": 96}[fitting[1]]
    monkeypatch.setattr(checks, "free_bytes", lambda device: 1000)
    assert "freeze layers, lower train.max_length" in refused("train.batch_size=32")


def test_memory_is_known_on_this_machine() -> None:
    free = checks.free_bytes(torch.device("cpu"))
    assert free is None or free > 1e6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sparsity.sampled_terms=5", "needs queries from a table"),
        ("encoder.learn_query_table=true", "has no table"),
        ("encoder.query_table=idf", "queries have no table"),
        ("encoder.query_start=x", "queries have no model"),
        ("encoder.freeze_layers=9", "the model has 1 layers"),
        ("sparsity.documents.regulariser=idf-flops", "queries have a model, not a table of idf"),
        ("sparsity.queries={regulariser='idf-flops', weight=1.0}", "is for documents alone"),
    ],
)
def test_parts_that_do_not_fit(refused: Any, change: str, message: str) -> None:
    assert message in refused("encoder.family=splade", change)


def test_idf_aware_flops_without_idf(refused: Any) -> None:
    text = refused("sparsity.documents.regulariser=idf-flops")
    assert "all terms weigh the same in queries: set encoder.query_table to 'idf'" in text


def test_an_output_folder_in_use_is_refused(tmp_path: Path, random_model: Path, toy: Any) -> None:
    output, config = tmp_path / "run", config_of(random_model)
    with pytest.raises(UsageError, match="nothing to resume: leave out --resume"):
        train(config, output, resume=True, examples=toy.examples())
    train(config, output, examples=toy.examples())
    with pytest.raises(UsageError, match=r"holds a finished training: .* --overwrite starts again"):
        train(config, output, examples=toy.examples())
    with pytest.raises(UsageError, match=r"train\.learning_rate is 0\.5, but this run started with 0\.001"):
        train(config_of(random_model, "train.learning_rate=0.5"), output, resume=True, examples=toy.examples())
    with locked(output), pytest.raises(LsrError, match="another process is training into it"):
        train(config, output, overwrite=True, examples=toy.examples())
    train(config, output, overwrite=True, examples=toy.examples())
    assert (output / "training.png").is_file() and (output / "log.csv").is_file()


def test_what_is_no_training_is_never_overwritten(tmp_path: Path, random_model: Path, toy: Any) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else than a training"):
        train(config_of(random_model), tmp_path, overwrite=True, examples=toy.examples())
    assert (tmp_path / "thesis.txt").is_file()


def test_a_training_that_diverges_says_so(tmp_path: Path, random_model: Path, toy: Any) -> None:
    config = config_of(random_model, "train.learning_rate=1e30", "train.steps=20", "train.max_grad_norm=0")
    with pytest.raises(LsrError, match=r"step \d+: .* lower\s+train\.learning_rate|is not finite"):
        train(config, tmp_path / "run", examples=toy.examples())


class TestCommand:
    def write(self, folder: Path, model: Path, toy: Any) -> list[str]:
        rows = [
            {"query": e.query, "positive": e.documents[0].text, "negatives": [d.text for d in e.documents[1:]]}
            for e in toy.examples()
        ]
        (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "mine.toml").write_text(
            f'[encoder]\nstart = "{model}"\nfamily = "inference-free"\nquery_table = "idf"\n'
            "[loss.infonce]\nweight = 1.0\n[sparsity.documents]\ntarget = 8\n[train]\nsteps = 3\nbatch_size = 8\n"
        )
        return [
            "train",
            str(folder / "mine.toml"),
            "--data",
            str(folder / "data.jsonl"),
            "--output",
            str(folder / "run"),
        ]

    def test_it_trains_from_a_file_and_prints_where_the_model_is(
        self, tmp_path: Path, random_model: Path, toy: Any, capfd: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
        command = self.write(tmp_path, random_model, toy)
        assert main([*command, "--set", "train.log_every=1"]) == 0
        out, err = capfd.readouterr()
        assert out.strip() == str(tmp_path / "run" / "model")
        assert "step 3 loss" in err and "document_terms" in err
        record = json.loads((tmp_path / "run" / "model" / "training.json").read_text())
        assert record["steps"] == 3 and record["config"]["train"]["batch_size"] == 8 and record["versions"]["torch"]
        assert main(command) == 2
        assert "holds a finished training" in capfd.readouterr().err
        assert main(["train", "--resume", "--output", str(tmp_path / "run")]) == 0

    def test_it_lists_recipes(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "--list"]) == 0
        assert "splade-v2-max" in capfd.readouterr().out

    def test_it_needs_a_config(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["train"]) == 2
        assert "name a CONFIG" in capfd.readouterr().err
        assert main(["train", "no-such-recipe"]) == 2
        assert "no-such-recipe: there is no such file or recipe" in capfd.readouterr().err

    def test_missing_columns_are_named(
        self, tmp_path: Path, random_model: Path, toy: Any, capfd: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
        command = self.write(tmp_path, random_model, toy)
        (tmp_path / "data.jsonl").write_text('{"question": "x", "text": "y"}\n')
        assert main(command) == 1
        assert "data.jsonl" in capfd.readouterr().err
