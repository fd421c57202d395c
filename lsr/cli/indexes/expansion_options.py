"""Options that read expansions of documents."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_expansion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --expansions and --keep-expansions."""
    parser.add_argument(
        "--expansions", type=Path, metavar="FILE", help="texts that the encoder reads behind each document's own, as "
        "'lsr expand' writes them: a file or a folder; hits show the documents without"
    )  # fmt: skip
    parser.add_argument(
        "--keep-expansions", type=float, metavar="P", help="keep the share P of all expansions, those of the highest "
        "scores (default: 1)"
    )  # fmt: skip


def expansions_of(args: argparse.Namespace) -> Any:
    """Return the expansions that the arguments name, None where there are none."""
    from lsr.errors import UsageError

    if args.expansions is None:
        if args.keep_expansions is not None:
            raise UsageError("--keep-expansions chooses among expansions: name their file by --expansions")
        return None
    from lsr.indexer.corpus.expansions.reading import read_expansions

    return read_expansions(args.expansions, keep=1.0 if args.keep_expansions is None else args.keep_expansions)
