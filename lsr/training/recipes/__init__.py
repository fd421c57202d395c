"""Recipes: configs of published trainings, each with its paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsr.training.config.toml_values import read_config

RECIPES_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Recipe:
    """Bundled config."""

    name: str
    paper: str
    description: str


def recipes() -> list[Recipe]:
    """Return all recipes, sorted by name."""
    found = []
    for path in sorted(RECIPES_FOLDER.glob("*.toml")):
        values = read_config(path)
        found.append(Recipe(path.stem, values["paper"], values["description"]))
    return found
