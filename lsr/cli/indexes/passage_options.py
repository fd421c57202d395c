"""Options that cut long documents into passages."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import positive


def add_passage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --passages and its options."""
    parser.add_argument(
        "--passages", action="store_true", help="cut documents that are longer than the models read into overlapping "
        "passages; a document is then found by its best one"
    )  # fmt: skip
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="tokens that two passages share (default: 32; of bm25: words)"
    )
    parser.add_argument(
        "--passage-length", type=positive, metavar="N",
        help="tokens of a passage (default: as many as the models read; of bm25: 200 words)",
    )  # fmt: skip


def splitter_of(args: argparse.Namespace, encoder: Any, dense: Any = None) -> Any:
    """Return the splitter that the arguments describe, or None without --passages."""
    if not args.passages:
        return None
    from lsr.encoders.text.splitter import choose_splitter

    return choose_splitter(encoder, dense, overlap=args.overlap, max_length=args.passage_length)


def check_passage_arguments(args: argparse.Namespace) -> None:
    """Raise UsageError for options that need --passages."""
    from lsr.errors import UsageError

    if not args.passages and (args.overlap is not None or args.passage_length is not None):
        raise UsageError("--overlap and --passage-length go with --passages")
