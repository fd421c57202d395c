"""Options that say the language of an index's words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_language_arguments(parser: Any, *, of: str = "bm25, or beside a model") -> None:
    """Add --language and --stopwords. of: whose words these are."""
    parser.add_argument(
        "--language", metavar="L", help=f"language of the words of {of}: their stems and stop words "
        "(default: english); none for words as they are; docs/ENCODERS.md lists them"
    )  # fmt: skip
    parser.add_argument(
        "--stopwords", type=Path, metavar="FILE", help="words that count for nothing, in place of the language's list"
    )


def language_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the language and stop words that the arguments give, as `load_encoder` takes them."""
    given: dict[str, Any] = {} if args.language is None else {"language": args.language}
    if args.stopwords is not None:
        from lsr.encoders.lexical.language import read_stop_words

        given["stop_words"] = read_stop_words(args.stopwords)
    return given
