"""`lsr encoder`: models made ready to run without torch."""

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

_LIMITS = """\
BERT-, DistilBERT-, MPNet-, RoBERTa- and XLM-R-like models can be exported: sparse
ones with a masked-LM head and maximum pooling, dense ones, and joint ones. Of any
other model the part that the compiled kernels can't run is named.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "encoder",
        "export a model so that it runs without torch",
        "Make models ready for the compiled kernels, which need neither torch nor\n"
        "transformers and give a document the same vector in every batch.",
        EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = add_command(actions, "export", "write a model to a folder that needs no torch", _LIMITS, EXAMPLES)
    export.add_argument("model", metavar="MODEL", help="the folder of a model, or its name on the Hugging Face hub")
    export.add_argument("out", type=Path, metavar="OUT", help="the folder to write: a new or an empty one")
    export.add_argument("--dtype", choices=("int8", "float32"), default="int8",
                        help="numbers of the weights (default: int8, four times as fast and as small)")  # fmt: skip
    export.add_argument("--family", metavar="F", help="family of a plain checkpoint, such as splade-doc")
    export.add_argument("--dense", action="store_true", default=None,
                        help="read a plain checkpoint as a dense model")  # fmt: skip
    export.add_argument("--revision", metavar="R", help="commit, branch or tag of a model on the hub")
    export.add_argument("--json", action="store_true", help="print the result as a JSON object")
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
