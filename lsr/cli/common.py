"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import lsr
from lsr.output.numbers import counted
from lsr.output.terminal import say


def add_command(
    subparsers: Any, name: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of a command. summary: line in the list of commands; epilog: text below the options, as it is."""
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
    """Add --index, the index to read."""
    parser.add_argument("--index", type=Path, metavar="DIR", help="the index (default: .lsr here or in a folder above)")


def index_path(args: argparse.Namespace, *, to_write: bool = False) -> Path:
    """Return the index that the arguments name, or the nearest one here or in a folder above.

    to_write: the index will be changed; one of another user must then be named.
    """
    from lsr.indexer.storage.index import find_index

    return args.index if args.index is not None else find_index(Path.cwd(), to_write=to_write)


def documentation_folder() -> Path:
    """Return the folder of the documentation: the installed package's, or the repository's."""
    package = Path(lsr.__file__).parent
    packed = package / "docs"
    return packed if packed.is_dir() else package.parent / "docs"


def new_index_path(args: argparse.Namespace) -> Path:
    """Return the folder of a new index that the arguments name (default: `.lsr` here, if that is no link)."""
    from lsr.indexer.storage.index import DEFAULT_NAME, not_a_link

    return args.index if args.index is not None else not_a_link(Path(DEFAULT_NAME))


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def device_name(text: str) -> str:
    """Parse the name of a device."""
    from lsr.encoders.device import check_device_name
    from lsr.errors import UsageError

    try:
        return check_device_name(text) or text
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_device_argument(parser: Any, what: str = "models") -> None:
    """Add --device."""
    parser.add_argument(
        "--device", type=device_name, metavar="D", help=f"device of {what}: auto, cpu, cuda, cuda:N or mps (default: "
        "auto, which is CUDA where there is such a device, else the CPU)"
    )  # fmt: skip


def note(message: str) -> None:
    """Print a line that is not a result, `lsr: …` on stderr, in place of a progress bar that is shown."""
    if TerminalProgress.shown is not None:
        TerminalProgress.shown.close()
    say(f"lsr: {' '.join(message.split())}", stream=sys.stderr)


class _LogLines(logging.Handler):
    """Log handler that prints each message as `note` does."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


@contextmanager
def printed_log() -> Iterator[None]:
    """Print what the package logs, from level INFO up, as lines on stderr while a command runs.

    The logger is then as it was before, for programs that run a command in their own process.
    """
    logger, handler = logging.getLogger("lsr"), _LogLines()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def note_compiling(kernel: str) -> None:
    """Print a note before a kernel is compiled, since that takes a while."""
    from lsr.api.first_use import note_of_compiling

    message = note_of_compiling(kernel)
    if message is not None:
        note(message)


class TerminalProgress:
    """Listener that shows each stage as a bar with rate and time left, on stderr, if that is a terminal."""

    shown: ClassVar[TerminalProgress | None] = None
    """The one whose bar is on the screen."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """End the previous stage and begin another."""
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
            stream=sys.stderr,
            dynamic_ncols=True,
        )
        TerminalProgress.shown = self

    def advance(self, n: int) -> None:
        """Advance the bar by n units."""
        if self._bar is not None:
            self._bar.update(n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            if TerminalProgress.shown is self:
                TerminalProgress.shown = None
