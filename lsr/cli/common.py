"""What several commands share: arguments, and how numbers and progress are shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_index_argument(parser: argparse.ArgumentParser) -> None:
    """Add --index, the index to be read."""
    parser.add_argument(
        "--index", type=Path, metavar="DIR", help="the index (default: .lsr here or in a parent folder)"
    )


def index_path(args: argparse.Namespace) -> Path:
    """Return the index that the arguments name, or the one found here or above."""
    from lsr.indexer.index import find_index

    return args.index if args.index is not None else find_index(Path.cwd())


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def note(message: str) -> None:
    """Say something that is not a result."""
    print(f"lsr: {message}", file=sys.stderr)


def human_bytes(size_bytes: int) -> str:
    """Format a size: 12.3 MB."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class TerminalProgress:
    """Shows each stage as a bar with rate and time left, on stderr, if that is a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """End the stage before and begin one."""
        from tqdm import tqdm

        self.close()
        scale = unit in ("B", "posting")
        self._bar = tqdm(
            desc=stage, total=total, unit=unit if unit == "B" else f" {unit}s", unit_scale=scale, unit_divisor=1000,
            disable=not sys.stderr.isatty(), leave=False, file=sys.stderr, dynamic_ncols=True,
        )  # fmt: skip

    def advance(self, n: int) -> None:
        """Move the bar."""
        self._bar.update(n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
