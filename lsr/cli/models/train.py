"""`lsr train`: train an encoder of any family as a config says."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr train --list                         the recipes, and the parts of configs
  lsr train splade-v2-max --data pairs.parquet --output runs/first \\
    --set encoder.start=path/to/bert --set train.steps=2000 \\
    --set train.precision=float32          a recipe on your data, on a CPU
  lsr train my.toml --output runs/mine --set train.steps=2000 \\
    --set sparsity.documents.target=150
  lsr train --resume --output runs/mine    continue an interrupted training
  lsr index notes/ --encoder runs/mine/model

CONFIG is a TOML file or a recipe's name. docs/TRAINING.md has every key.
Several GPUs: torchrun --nproc-per-node 4 -m lsr.cli.main train my.toml …
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "train",
        "train an encoder",
        "Train a sparse encoder as a config says, on pairs, triples or scored lists,\n"
        "with evaluations on BEIR folders. Ctrl-C saves a checkpoint.",
        EXAMPLES,
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a TOML file, or a recipe's name")
    parser.add_argument(
        "--list", action="store_true", help="list recipes, families, losses and all other parts, with their papers"
    )
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change a value of the config"
    )
    parser.add_argument("--data", nargs="+", metavar="FILE", help="examples (default: data.files of the config)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="the folder of the run (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in the folder")
    parser.add_argument("--overwrite", action="store_true", help="remove a training that is in the folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and print the folder of the model."""
    from lsr.errors import UsageError

    if args.list:
        return _list()
    if args.config is None and not (args.resume and args.output):
        raise UsageError("name a CONFIG, or give --resume with --output; lsr train --list shows the recipes")
    values = _values(args)
    from lsr.training.config.config import make_config

    config = make_config(values)
    output = args.output or Path("runs") / (config.name or Path(str(args.config)).stem)
    from lsr.training.train import train

    result = train(config, output, resume=args.resume, overwrite=args.overwrite)
    say(str(result.model))
    return 0


def _values(args: argparse.Namespace) -> dict[str, Any]:
    from lsr.training.config.toml_values import read_config, with_overrides

    if args.config is None:
        from lsr.training.run_folder.folder import read_run_config

        values = read_run_config(args.output)
    else:
        values = read_config(_config_file(args.config))
    values = with_overrides(values, args.overrides)
    if args.data:
        values.setdefault("data", {})["files"] = args.data
    return values


def _config_file(config: str) -> Path:
    """Return the file of a config, or of a recipe. Raises UsageError if there is neither, with the recipes."""
    from lsr.errors import UsageError
    from lsr.training.recipes import RECIPES_FOLDER, recipes

    path, recipe = Path(config), RECIPES_FOLDER / f"{config}.toml"
    if path.exists():
        return path
    if recipe.is_file():
        return recipe
    names = [recipe.name for recipe in recipes()]
    near = get_close_matches(config, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"{config}: there is no such file or recipe: {hint}recipes are {', '.join(names)}")


def _list() -> int:
    from lsr.encoders.families import FAMILIES
    from lsr.training.parts import FOLDERS, parts
    from lsr.training.recipes import recipes

    for recipe in recipes():
        say(f"{recipe.name:26}{recipe.description}", f"{'':26}{recipe.paper}")
    say("", "families")
    for name, family in FAMILIES.items():
        say(f"  {name:24}expanded: {family.expansion}", f"{'':26}{family.paper}")
    for sort in FOLDERS:
        say("", sort)
        for part in parts(sort):
            papers = f" ({', '.join(part.papers)})" if part.papers else ""
            say(f"  {part.name:24}{part.description}{papers}")
    return 0
