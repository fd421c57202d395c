"""`lsr train`: an encoder of any family, from a config."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command

EXAMPLES = """\
examples:
  lsr train --list                         the recipes
  lsr train splade-v2-max --data pairs.parquet --output runs/first \\
    --set encoder.start=path/to/bert       a recipe on data of your own
  lsr train my.toml --output runs/mine --set train.steps=2000 \\
    --set sparsity.documents.target=150
  lsr train --resume --output runs/mine    goes on where it was
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
        "with evaluation on BEIR folders on the way. Ctrl-C saves a checkpoint.",
        EXAMPLES,
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a TOML file, or a recipe's name")
    parser.add_argument("--list", action="store_true", help="list the recipes")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change a value of the config"
    )
    parser.add_argument("--data", nargs="+", metavar="FILE", help="examples, in place of the config's data.files")
    parser.add_argument("--output", type=Path, metavar="DIR", help="the folder of the run (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the folder")
    parser.add_argument("--overwrite", action="store_true", help="remove a training that stands in the folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and say where the model is."""
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
    print(result.model)
    return 0


def _values(args: argparse.Namespace) -> dict[str, Any]:
    from lsr.training.config.config import read_config, with_overrides
    from lsr.training.recipes import RECIPES_FOLDER

    if args.config is None:
        from lsr.training.run_folder.folder import read_run_config

        values = read_run_config(args.output)
    else:
        path = Path(args.config)
        recipe = RECIPES_FOLDER / f"{args.config}.toml"
        values = read_config(recipe if not path.exists() and recipe.is_file() else path)
    values = with_overrides(values, args.overrides)
    if args.data:
        values.setdefault("data", {})["files"] = args.data
    return values


def _list() -> int:
    from lsr.training.recipes import recipes

    for recipe in recipes():
        print(f"{recipe.name:24}{recipe.description}\n{'':24}{recipe.paper}")
    return 0
