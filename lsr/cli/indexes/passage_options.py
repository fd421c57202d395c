"""Options that cut long documents into passages."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import positive


def add_passage_arguments(
    parser: argparse.ArgumentParser, *, default: str = "passages with a model, not with bm25"
) -> None:
    """Add --passages, --no-passages and the options of passages."""
    parser.add_argument(
        "--passages", action=argparse.BooleanOptionalAction, help="cut documents that are longer than the models read "
        "into overlapping passages, and find a document by its best one; --no-passages reads their starts only "
        f"(default: {default})"
    )  # fmt: skip
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="tokens that two passages share (default: 32; of bm25: words)"
    )
    parser.add_argument(
        "--passage-length", type=positive, metavar="N",
        help="tokens of a passage (default: as many as the models read; of bm25: 200 words)",
    )  # fmt: skip


def reader_of(args: argparse.Namespace, encoder: Any, dense: Any = None, *, behind: int = 0) -> Any:
    """Return the `DocumentReader` that the arguments describe, None where it has nothing to do.

    behind: tokens that are read behind each text.
    """
    from lsr.indexer.encode.document_reader import reader_for

    return reader_for(
        encoder, dense, passages=args.passages, overlap=args.overlap, max_length=args.passage_length, behind=behind
    )


def check_passage_arguments(args: argparse.Namespace) -> None:
    """Raise UsageError for options that need passages beside --no-passages."""
    from lsr.errors import UsageError

    if args.passages is False and (args.overlap is not None or args.passage_length is not None):
        raise UsageError("--overlap and --passage-length go with --passages")
