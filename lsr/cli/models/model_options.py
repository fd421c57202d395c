"""Options of reading a model: family, length, pruning, exact words."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import positive

NAMES = ("family", "max_length", "top_k", "threshold", "words")


def add_model_arguments(parser: Any) -> None:
    """Add --family, --max-length, --top-k, --threshold and --words."""
    parser.add_argument("--family", metavar="F", help="family of a plain checkpoint, such as splade-doc")
    parser.add_argument(
        "--max-length", type=positive, metavar="N", help="largest number of tokens of a document (default: the model's)"
    )
    parser.add_argument("--top-k", type=positive, metavar="N", help="keep the N largest weights of a document")
    parser.add_argument("--threshold", type=float, metavar="W", help="keep weights above W")
    parser.add_argument(
        "--words", type=float, metavar="W", help="exact words as terms beside the model's, which weigh W in queries; "
        "0: none (default: as the model has them)"
    )  # fmt: skip


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that are given, as `load_encoder` takes them."""
    return {name: value for name in NAMES if (value := getattr(args, name)) is not None}


def refuse_model_options(args: argparse.Namespace, why: str) -> None:
    """Raise UsageError for the first of the options that is given, with the reason."""
    from lsr.errors import UsageError

    given = next(iter(model_options(args)), None)
    if given is not None:
        raise UsageError(f"--{given.replace('_', '-')} {why}")
