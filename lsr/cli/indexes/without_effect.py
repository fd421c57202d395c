"""Options that change nothing beside the others of a command line: a line on stderr says so."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from lsr.cli.common import note


def note_without_effect(args: argparse.Namespace, *, encoder: str | None = None) -> None:
    """Note each option that is given and has no effect. encoder: the name of what encodes texts, None for vectors."""
    for option, why in _found(args, encoder):
        note(f"{option} has no effect {why}")


def _found(args: argparse.Namespace, encoder: str | None) -> Iterator[tuple[str, str]]:
    from lsr.cli.indexes.reading_options import given_reading_options
    from lsr.encoders.device import WORDS

    if not args.corpus:
        what = "on vectors" if args.vectors else "without texts to read"
        if args.skip_bad:
            yield "--skip-bad", f"{what}: it is of texts"
        if given_reading_options(args) is not None:
            yield "an option of reading files", what
    has_dense = getattr(args, "dense", None) is not None
    for name in ("device", "dtype"):
        if getattr(args, name, None) is None or has_dense:
            continue
        if args.vectors:
            yield f"--{name}", "on ready vectors, which no model encodes"
        elif encoder == WORDS and name == "dtype":
            yield f"--{name}", f"with {WORDS}, which counts words"
