"""`lsr encoder`: models made ready to run without torch, and converted from the forms that others publish."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr encoder export path/to/model my-model       in int8, a quarter of the size
  lsr encoder export owner/model my-model --dtype float32
  lsr encoder convert BAAI/bge-m3 bge-m3          .bin files, sparse_linear.pt
  lsr encoder convert my-lora merged              an adapter and its model
  lsr encoder convert documents/ both --query queries/   efficient SPLADE
  lsr index notes/ --encoder my-model             encode with it
  lsr index notes/ --encoder bm25 --dense my-dense-model
"""
_OF_EXPORT, _OF_CONVERT = ("dtype", "dense"), ("query", "base")


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "encoder",
        "export a model so that it runs without torch, or convert one",
        "export: make a model ready for the compiled kernels, which need neither torch\n"
        "nor transformers and give a document the same vector in every batch. BERT-,\n"
        "DistilBERT-, MPNet-, RoBERTa- and XLM-R-like models can be exported: sparse ones\n"
        "with a masked-LM head and maximum pooling, dense ones, and joint ones. Of any\n"
        "other model the part is named that the kernels can't run.\n\n"
        "convert: write a model that doesn't load as it is in a form that does: pickled\n"
        "weights (of which weights alone are read), a LoRA adapter, BGE-M3's sparse\n"
        "weights, or the models of documents and of queries in two folders.",
        EXAMPLES,
    )
    parser.add_argument("action", choices=("export", "convert"), metavar="export|convert",
                        help="write a model for the kernels, or in a form that loads")  # fmt: skip
    parser.add_argument("model", metavar="MODEL", help="the folder of a model, or its name on the Hugging Face hub")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write: a new or an empty one")
    parser.add_argument("--dtype", choices=("int8", "float32"),
                        help="export: numbers of the weights (default: int8, a quarter of the size)")  # fmt: skip
    parser.add_argument("--family", metavar="F", help="family of a plain checkpoint, such as splade-doc")
    parser.add_argument("--dense", action="store_true", default=None,
                        help="export: read a plain checkpoint as a dense one (default: if it has no head)")  # fmt: skip
    parser.add_argument(
        "--query", metavar="MODEL", help="convert: the model of the queries, where they have another one"
    )
    parser.add_argument("--base", metavar="MODEL", help="convert: the model of an adapter (default: the one it names)")
    parser.add_argument("--revision", metavar="R", help="commit, branch or tag of a model on the hub")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export or convert, and print the result."""
    from lsr.errors import UsageError

    for name in _OF_CONVERT if args.action == "export" else _OF_EXPORT:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} is not of lsr encoder {args.action}: leave it out")
    return _export(args) if args.action == "export" else _convert(args)


def _export(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lsr.encoders.compiled.export import export_encoder

    done = export_encoder(
        args.model, args.out, dtype=args.dtype or "int8", family=args.family, dense=args.dense, revision=args.revision
    )
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({**asdict(done), "folder": str(done.folder)}))
        return 0
    option = "--dense" if done.kind == "dense" else "--encoder"
    say(
        f"exported a {done.kind} model in {done.dtype} to {done.folder}: {done.size_bytes / 1e6:,.1f} MB, reads "
        f"{done.max_length:,} tokens; use it with: lsr index CORPUS {option} {done.folder}"
    )
    return 0


def _convert(args: argparse.Namespace) -> int:
    from lsr.encoders.conversion.convert import convert_encoder

    done = convert_encoder(
        args.model, args.out, query=args.query, base=args.base, family=args.family, revision=args.revision
    )
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"folder": str(done.folder), "kind": done.kind, "done": list(done.done)}))
        return 0
    option = "--dense" if done.kind == "dense" else "--encoder"
    for line in done.done:
        say(line)
    say(f"wrote a {done.kind} model to {done.folder}; use it with: lsr index CORPUS {option} {done.folder}")
    return 0
