"""Configs: every mistake is an error that names the key; recipes are configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lsr.models
from lsr.errors import UsageError
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import read_config, with_overrides
from lsr.training.recipes import RECIPES_FOLDER, recipes

MODELS_FOLDER = Path(lsr.models.__file__).parent
LEAST: dict[str, Any] = {"encoder": {"start": "model"}, "loss": {"infonce": {}}, "train": {"steps": 10}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.stpes=5", r"train\.stpes is not known: did you mean 'steps'\?"),
        ('train.steps="many"', r"train\.steps is 'many', but has to be a whole number"),
        ("train.steps=0", r"train\.steps is 0, but has to be 1 or more"),
        ("train.steps=true", r"train\.steps is True, but has to be a whole number"),
        ("train.batch_size=1", r"train\.batch_size is 1, but has to be 2 or more"),
        ("train.precision=int4", r"train\.precision is 'int4', but has to be one of float32"),
        ("loss.hinge.weight=1", r"loss is 'hinge', but has to be one of ensemble, infonce"),
        ("loss.infonce.weight=0", r"no loss has a weight"),
        ("loss.kl.weight=1", r"loss\.kl needs a \[\[teacher\]\]"),
        ('teacher=[{name="bm25"}]', r"teacher 'bm25' is not used by any loss"),
        ("sparsity.documents.regulariser=flops", r"takes a weight, or a target"),
        ("sparsity.documents.regulariser=l7", r"is 'l7', but has to be one of df-flops, flops"),
        ("encoder=5", r"encoder is 5, but has to be a table"),
        ("eval.every=10", r"eval\.datasets names no BEIR folder"),
        ("loss.regression.weight=1", r"loss\.regression needs a \[\[teacher\]\]"),
        ("encoder.dropout=1.5", r"encoder\.dropout is 1\.5"),
    ],
)
def test_a_mistake_is_named(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_config(with_overrides(LEAST, [change]))


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match=r"encoder\.start is missing"):
        make_config({**LEAST, "encoder": {}})


@pytest.mark.parametrize("override", ["steps", "=5", "train.steps.more=1"])
def test_an_override_has_to_be_key_and_value(override: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        with_overrides(LEAST, [override])


def test_overrides_change_a_copy() -> None:
    changed = with_overrides(LEAST, ["train.steps=20", "encoder.family=splade-doc", "data.files=['a', 'b']"])
    config = make_config(changed)
    assert (config.train.steps, config.encoder.family, config.data.files) == (20, "splade-doc", ("a", "b"))
    assert LEAST["train"]["steps"] == 10


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(UsageError, match=r"mine\.toml: no such config"):
        read_config(path)
    path.write_text("[train]\nsteps = \n")
    with pytest.raises(UsageError, match=r"mine\.toml is not TOML: .*line 2"):
        read_config(path)


def test_a_config_survives_json() -> None:
    config = make_config(with_overrides(LEAST, ["sparsity.documents.target=5", "eval.datasets=x"]))
    assert make_config(config.to_json()) == config


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_is_a_config_with_its_paper(recipe: Any) -> None:
    config = make_config(read_config(RECIPES_FOLDER / f"{recipe.name}.toml"))
    assert config.name == recipe.name and config.description
    assert "arXiv:" in config.paper


@pytest.mark.parametrize("path", sorted(MODELS_FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_trainings_of_the_model_that_is_carried_are_configs(path: Path) -> None:
    config = make_config(read_config(path))
    assert config.name == path.stem
    assert config.encoder.freeze_layers == 3
