"""What several commands share: arguments, and how numbers and progress are shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lsr.output.numbers import counted
from lsr.output.terminal import clean


def add_command(
    subparsers: Any, name: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a command's parser. summary: for the list of commands; epilog: printed as it is, below the options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def add_index_argument(parser: argparse.ArgumentParser) -> None:
    """Add --index, the index to be read."""
    parser.add_argument("--index", type=Path, metavar="DIR", help="the index (default: .lsr here or in a folder above)")


def index_path(args: argparse.Namespace) -> Path:
    """Return the index that the arguments name, or the one found here or above."""
    from lsr.indexer.storage.index import find_index

    return args.index if args.index is not None else find_index(Path.cwd())


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def note(message: str) -> None:
    """Say something that is not a result, in one line."""
    print(f"lsr: {clean(' '.join(message.split()))}", file=sys.stderr)


def note_compiling(kernel: str) -> None:
    """Say, where a kernel has never been compiled on this machine, that this takes a while now."""
    from lsr.api.first_use import COMPILING, needs_compiling

    if needs_compiling(kernel):
        note(COMPILING)


class TerminalProgress:
    """Shows each stage as a bar with rate and time left, on stderr, if that is a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """End the stage before and begin one."""
        self.close()
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(
            desc=stage,
            total=total,
            unit="B" if unit == "B" else counted(2, unit)[1:],
            unit_scale=unit == "B",
            unit_divisor=1000,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def advance(self, n: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(n)

    def say(self, message: str) -> None:
        """Take the bar away and say something."""
        self.close()
        note(message)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
