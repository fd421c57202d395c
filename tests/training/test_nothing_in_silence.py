"""What a config asks for is done, refused, or warned of; messages speak of what is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lsr.models
from lsr.cli.main import main
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import with_overrides
from lsr.training.config.trainer_arguments import training_arguments
from lsr.training.recipes import recipes
from lsr.training.run_folder.folder import CHECKPOINTS, prepare, write_config
from lsr.training.stop_conditions import start_again
from lsr.training.train import train

pytestmark = pytest.mark.usefixtures("without_plots")


def config_of(model: Path | str, *changes: str) -> Any:
    values = {
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.0},
        "data": {"negatives": 2},
        "loss": {"infonce": {}},
        "sparsity": {"documents": {"weight": 1e-3}},
        "train": {"steps": 4, "batch_size": 8, "learning_rate": 1e-3},
    }
    return make_config(with_overrides(values, list(changes)))


@pytest.mark.parametrize("device", ["tpu", "cuda:1", "gpu"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match=rf"train\.device is '{device}', but has to be one of auto, cpu, cuda, mps"):
        config_of("model", f"train.device={device}")


def test_cuda_where_there_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"train\.device is 'cuda', but torch finds no CUDA device here"):
        training_arguments(config_of("model", "train.device=cuda"), tmp_path)


def test_an_apple_gpu_where_there_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"train\.device is 'mps', but torch finds no Apple GPU here"):
        training_arguments(config_of("model", "train.device=mps"), tmp_path)


def test_auto_is_the_cpu_where_there_is_no_other_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_arguments(config_of("model", "train.device=auto"), tmp_path).device.type == "cpu"


def test_float16_on_a_cpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.precision is 'float16', but .* set it to 'float32'"):
        training_arguments(config_of("model", "train.precision=float16", "train.device=cpu"), tmp_path)


def test_a_warm_up_as_long_as_the_training_is_shortened_with_a_warning(
    tmp_path: Path, random_model: Path, toy: Any, logged: pytest.LogCaptureFixture
) -> None:
    config = config_of(random_model, "train.warmup=6000", "train.steps=20")
    assert config.train.warmup_steps == 2
    assert training_arguments(config, tmp_path).warmup_steps == 2
    train(config_of(random_model, "train.warmup=6000"), tmp_path / "run", examples=toy.examples())
    warnings = [record.getMessage() for record in logged.records if record.levelname == "WARNING"]
    assert [line for line in warnings if "warmup" in line] == [
        "train.warmup is 6,000 steps, but train.steps is 4: there is no warm-up"
    ]
    rates = [line for line in logged.messages if line.startswith("step ") and "learning_rate" in line]
    assert rates and not any(line.endswith("learning_rate 0") for line in rates[:1])


@pytest.mark.parametrize(
    ("side", "said"),
    [
        ("{weight=1e-3, schedule='quadratic', ramp=40}", "the weight reaches 0.01 of sparsity.documents.weight"),
        ("{target=8.0, ramp=40}", "the target is not reached"),
        ("{weight=1e-3, ramp=40}", "schedule is 'constant': it has no effect"),
        ("{target=8.0, ramp=4}", ""),
    ],
)
def test_a_ramp_longer_than_the_training_is_warned_of(side: str, said: str, logged: pytest.LogCaptureFixture) -> None:
    from lsr.training.preflight import warn_of_schedules

    warn_of_schedules(config_of("model", f"sparsity.documents={side}"))
    assert [said in line for line in logged.messages] == ([True] if said else [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("loss.infonce.margin=2", r"loss\.infonce\.margin is set, but it takes temperature, candidates"),
        ("loss.margin.temperature=2", r"loss\.margin\.temperature is set, but it takes margin, candidates"),
        ("sparsity.documents.threshold=90", r"threshold is set, but it takes no option"),
        ("encoder.idf_corpus=notes", r"encoder\.idf_corpus is set, but encoder\.query_table is not 'idf'"),
        ("data.mining.haystack=notes", r"data\.mining\.haystack is now called data\.mining\.candidate_pool"),
    ],
)
def test_an_option_without_effect_is_refused(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config_of("model", change)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["data.topics_per_batch=3"], "data.topics_per_batch is set, but data.topics is 0"),
        (["data.overlap=drop"], "data.overlap is set, but data.check_overlap names no test collection"),
        (["data.corpus=notes"], "data.corpus is set, but data.files names no file"),
        (["train.table_learning_rate=1e-3"], "but encoder.learn_query_table is false"),
        (["eval.patience=3"], "eval.patience is set, but eval.every is 0"),
        (["eval.measure=MRR@10"], "eval.measure is set, but eval.datasets names no test collection"),
        (["encoder.idf_max=3"], "encoder.idf_max is set, but encoder.query_table is not 'idf'"),
        (["encoder.dense={dimension=8}"], "encoder.dense.dimension is set, but no loss trains that layer"),
        (["sparsity.documents.horizon=30"], "sparsity.documents.horizon is set, but sparsity.documents.target is not"),
        (
            ["sparsity.documents.ramp=3"],
            "sparsity.documents.ramp is set, but sparsity.documents.schedule is 'constant'",
        ),
        (
            ["data.mining={first='bm25', teacher_margin=0.5}"],
            "data.mining.teacher_margin is set, but data.mining.teacher names none",
        ),
        (["data.files=pairs.jsonl", "train.steps=8"], None),
    ],
)
def test_a_setting_without_effect_is_warned_of(
    changes: list[str], said: str | None, logged: pytest.LogCaptureFixture
) -> None:
    from lsr.training.preflight import warn_of_schedules

    warn_of_schedules(config_of("model", *changes))
    found = [str(said) in line and line.endswith("it has no effect") for line in logged.messages]
    assert found == ([] if said is None else [True])


def test_recipes_set_nothing_without_effect() -> None:
    from lsr.training.config.toml_values import read_config
    from lsr.training.config.without_effect import without_effect
    from lsr.training.recipes import RECIPES_FOLDER

    bundled = Path(lsr.models.__file__).parent
    for path in sorted([*RECIPES_FOLDER.glob("*.toml"), *bundled.glob("*.toml")]):
        values = with_overrides(read_config(path), ["data.files=pairs.jsonl"])
        assert without_effect(make_config(values)) == [], path


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, random_model: Path, toy: Any, logged: pytest.LogCaptureFixture
) -> None:
    config, output = config_of(random_model), tmp_path / "run"
    first = train(config, output, examples=toy.examples())
    state = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != ".lock"}
    logged.clear()
    again = train(config, output, resume=True, examples=toy.examples())
    assert logged.messages == [f"{output}: this training was finished after 4 steps: nothing to resume"]
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != ".lock"} == state
    with pytest.raises(UsageError, match=r"train\.steps is 9, but this run started with 4"):
        train(config_of(random_model, "train.steps=9"), output, resume=True, examples=toy.examples())


def test_resuming_is_offered_as_what_it_would_do(tmp_path: Path) -> None:
    write_config(tmp_path, {})
    (tmp_path / "log.csv").write_text("step\n")
    with pytest.raises(UsageError, match="before its first checkpoint: --resume starts it from the beginning"):
        prepare(tmp_path, resume=False, overwrite=False)
    checkpoint = tmp_path / CHECKPOINTS / "checkpoint-7"
    checkpoint.mkdir(parents=True)
    with pytest.raises(UsageError, match="before its first checkpoint"):
        prepare(tmp_path, resume=False, overwrite=False)
    (checkpoint / "state.json").write_text("{}")
    with pytest.raises(UsageError, match="is in use: --resume continues it"):
        prepare(tmp_path, resume=False, overwrite=False)


def test_a_failed_training_speaks_of_a_checkpoint_only_if_there_is_one(tmp_path: Path) -> None:
    assert start_again(tmp_path) == "and start again with --overwrite"
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "checkpoint-7" / "state.json").write_text("{}")
    assert "from the checkpoint of step 7: encoder.start = " in start_again(tmp_path)


def test_a_training_that_diverges_at_once_has_no_checkpoint(tmp_path: Path, random_model: Path, toy: Any) -> None:
    config = config_of(random_model, "train.learning_rate=1e30", "train.steps=20", "train.max_grad_norm=0")
    with pytest.raises(LsrError, match=r"and start again with --overwrite$"):
        train(config, tmp_path / "run", examples=toy.examples())


def test_a_run_without_a_checkpoint_starts_from_the_beginning_and_says_so(
    tmp_path: Path, random_model: Path, toy: Any, logged: pytest.LogCaptureFixture
) -> None:
    config, output = config_of(random_model), tmp_path / "run"
    output.mkdir()
    write_config(output, config.to_json())
    train(config, output, resume=True, examples=toy.examples())
    assert "there is no finished checkpoint to resume from: starting from the beginning" in logged.messages


def test_a_checkpoint_without_a_head_names_the_setting_that_makes_one(
    tmp_path: Path, random_model: Path, toy: Any
) -> None:
    from transformers import AutoTokenizer, BertModel

    headless = tmp_path / "headless"
    BertModel.from_pretrained(random_model).save_pretrained(headless)
    AutoTokenizer.from_pretrained(random_model).save_pretrained(headless)
    with pytest.raises(EncoderError, match=r"or fit the masked-LM head that it lacks: encoder\.fit_head = "):
        train(config_of(headless), tmp_path / "run", examples=toy.examples())


def test_an_unknown_recipe_lists_those_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "splade-v2-mx"]) == 2
    err = capfd.readouterr().err
    assert "splade-v2-mx: there is no such file or recipe: did you mean 'splade-v2-max'?" in err
    assert all(recipe.name in err for recipe in recipes())
    assert main(["train", "no/such.toml"]) == 2
    assert "no/such.toml: there is no such file or recipe: recipes are" in capfd.readouterr().err


def test_recipes_are_listed_with_their_papers(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--list"]) == 0
    out = capfd.readouterr().out
    assert all(recipe.name in out and recipe.paper in out for recipe in recipes())


def test_an_option_of_an_earlier_version_names_the_new_one(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["mine", "pairs.jsonl", "--haystack", "notes"])
    assert caught.value.code == 2
    assert "--haystack is now called --candidate-pool" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("package", "command", "remedy"),
    [
        ("torch", ["train", "splade-v2-max", "--data", "pairs.jsonl"], "'lsr-search[torch]'"),
        ("transformers", ["train", "splade-v2-max", "--data", "pairs.jsonl"], "'lsr-search[torch]'"),
        ("accelerate", ["train", "splade-v2-max", "--data", "pairs.jsonl"], "'lsr-search[train]'"),
        ("torch", ["codes", "notes", "--dense", "model", "--out", "codes"], "'lsr-search[torch]'"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(
    package: str, command: list[str], remedy: str, tmp_path: Path, random_model: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("A note.")
    (tmp_path / "model").symlink_to(random_model)
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"query": "a", "positive": "A note."}) + "\n")
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.dont_write_bytecode = True\n"
        f"from lsr.cli.main import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    wanted = f"lsr: this needs the package '{package}', which isn't installed: pip install {remedy}\n"
    assert done.stderr.endswith(wanted) and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists() and not (tmp_path / "vectors").exists()


def test_recipes_are_listed_without_torch(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from lsr.cli.main import main; sys.exit(main(['train', '--list']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "splade-v2-max" in done.stdout
