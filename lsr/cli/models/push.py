"""`lsr push` and `lsr pull`: models and indexes on the Hugging Face hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr push runs/mine/model owner/my-model
  lsr push .lsr owner/my-index --private
  lsr pull owner/my-index my-index
"""


def add_parser(subparsers: Any) -> None:
    """Declare `lsr push`."""
    parser = add_command(
        subparsers,
        "push",
        "push a model or an index to a hub",
        "Push the folder of a model, or an index, to the Hugging Face hub: a model as a\n"
        "repository of models, an index as one file of a repository of datasets. Code\n"
        "and pickled files stay here. 'hf auth login' keeps the token.",
        EXAMPLES,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of a model, or an index")
    parser.add_argument("name", metavar="OWNER/NAME", help="the repository, which is made if it isn't there")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    _add_common(parser, "branch (default: main)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Push, and print the place."""
    from lsr.handoff.hub import push

    done = push(args.path, args.name, private=args.private, revision=args.revision, endpoint=args.endpoint)
    _print(args, done, "pushed")
    return 0


def add_pull_parser(subparsers: Any) -> None:
    """Declare `lsr pull`."""
    parser = add_command(
        subparsers,
        "pull",
        "pull a model or an index from a hub",
        "Pull a model or an index that 'lsr push' has pushed, or any model, from the\n"
        "Hugging Face hub into a folder. An index is verified as 'lsr import' does it;\n"
        "code and pickled files stay there.",
        EXAMPLES,
    )
    parser.add_argument("name", metavar="OWNER/NAME", help="the repository")
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder to write: a new or an empty one")
    parser.add_argument("--overwrite", action="store_true", help="replace a model or an index that is there")
    _add_common(parser, "commit, branch or tag (default: main)")
    parser.set_defaults(run=run_pull)


def run_pull(args: argparse.Namespace) -> int:
    """Pull, and print the folder."""
    from lsr.handoff.hub import pull

    done = pull(args.name, args.path, revision=args.revision, overwrite=args.overwrite, endpoint=args.endpoint)
    _print(args, done, "pulled")
    return 0


def _add_common(parser: Any, revision: str) -> None:
    parser.add_argument("--revision", metavar="R", help=revision)
    parser.add_argument(
        "--endpoint", metavar="URL", help="address of the hub (default: $HF_ENDPOINT, or huggingface.co)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")


def _print(args: argparse.Namespace, done: Any, verb: str) -> None:
    if args.json:
        from dataclasses import asdict

        from lsr.io.printable import json_line

        say(json_line(asdict(done)))
        return
    where = f"to {done.place}" if verb == "pushed" else f"{args.name} to {done.place}"
    size = f", {human_bytes(done.size_bytes)}" if done.size_bytes else ""
    what = "an index" if done.kind == "index" else f"a model of {counted(done.n_files, 'file')}"
    say(f"{verb} {what} {where}{size}" if verb == "pushed" else f"{verb} {what}, {where}{size}")
