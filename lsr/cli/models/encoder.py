"""`lsr encoder export`: models made ready to run without torch."""

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
  lsr index notes/ --encoder my-model             encode with it
  lsr index notes/ --encoder bm25 --dense my-dense-model
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "encoder",
        "export a model so that it runs without torch",
        "Make a model ready for the compiled kernels, which need neither torch nor\n"
        "transformers and give a document the same vector in every batch. BERT-,\n"
        "DistilBERT-, MPNet-, RoBERTa- and XLM-R-like models can be exported: sparse ones\n"
        "with a masked-LM head and maximum pooling, dense ones, and joint ones. Of any\n"
        "other model the part is named that the kernels can't run.",
        EXAMPLES,
    )
    parser.add_argument("action", choices=("export",), metavar="export", help="write a model to a new folder")
    parser.add_argument("model", metavar="MODEL", help="the folder of a model, or its name on the Hugging Face hub")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write: a new or an empty one")
    parser.add_argument("--dtype", choices=("int8", "float32"), default="int8",
                        help="numbers of the weights (default: int8, a quarter of the size)")  # fmt: skip
    parser.add_argument("--family", metavar="F", help="family of a plain checkpoint, such as splade-doc")
    parser.add_argument("--dense", action="store_true", default=None,
                        help="read a plain checkpoint as a dense model (default: if it has no head)")  # fmt: skip
    parser.add_argument("--revision", metavar="R", help="commit, branch or tag of a model on the hub")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and print the result."""
    from dataclasses import asdict

    from lsr.encoders.compiled.export import export_encoder

    done = export_encoder(
        args.model, args.out, dtype=args.dtype, family=args.family, dense=args.dense, revision=args.revision
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
