"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lsr
from lsr.cli.shell.progress import TerminalProgress as TerminalProgress
from lsr.output.terminal import say, say_styled

if TYPE_CHECKING:
    from lsr.indexer.corpus.remote.url import Place


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
    parser.add_argument(
        "--index", type=index_place, metavar="DIR", help="the index, a folder or the URL of one that 'lsr publish' put "
        "into an object store (default: .lsr here or in a folder above)"
    )  # fmt: skip


def index_place(text: str) -> Path | str:
    """Parse the place of an index: a path, or the URL of an object store."""
    from lsr.indexer.transfer.object_store import is_url

    return text if is_url(text) else Path(text)


def corpus_place(text: str) -> Place:
    """Parse the place of a corpus: a path, a URL, or the name of a dataset of ir_datasets."""
    from lsr.errors import UsageError
    from lsr.indexer.corpus.remote.url import as_place

    try:
        return as_place(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def index_path(args: argparse.Namespace, *, to_write: bool = False) -> Path:
    """Return the index that the arguments name, or the nearest one here or in a folder above.

    to_write: the index will be changed; one of another user must then be named.
    """
    from lsr.indexer.storage.find_index import find_index

    if isinstance(args.index, str):
        args.index = _downloaded(args.index, to_write=to_write)
    found: Path = args.index if args.index is not None else find_index(Path.cwd(), to_write=to_write)
    return found


def _downloaded(url: str, *, to_write: bool) -> Path:
    from lsr.errors import UsageError
    from lsr.indexer.transfer.download import download_index

    if to_write:
        raise UsageError(f"{url.partition('?')[0]} is changed where it was made, and published again: name its folder")
    progress = TerminalProgress()
    try:
        return download_index(url, progress=progress).path
    finally:
        progress.close()


def documentation_folder() -> Path:
    """Return the folder of the documentation: the installed package's, or the repository's."""
    package = Path(lsr.__file__).parent
    packed = package / "docs"
    return packed if packed.is_dir() else package.parent / "docs"


def new_index_path(args: argparse.Namespace) -> Path:
    """Return the folder of a new index that the arguments name (default: `.lsr` here, if that is no link)."""
    from lsr.indexer.storage.find_index import DEFAULT_NAME, not_a_link

    return args.index if args.index is not None else not_a_link(Path(DEFAULT_NAME))


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


class _Verbosity:
    """Amount of messages that the command at work prints."""

    quiet = False
    verbose = False


def is_verbose() -> bool:
    """Tell whether the command at work prints details."""
    return _Verbosity.verbose


@contextmanager
def verbosity(args: argparse.Namespace) -> Iterator[None]:
    """Print as many messages as the arguments say; afterwards as before."""
    before = _Verbosity.quiet, _Verbosity.verbose, TerminalProgress.quiet
    _Verbosity.quiet = TerminalProgress.quiet = getattr(args, "quiet", False)
    _Verbosity.verbose = getattr(args, "verbose", False)
    try:
        yield
    finally:
        _Verbosity.quiet, _Verbosity.verbose, TerminalProgress.quiet = before


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
    """Print a line that is not a result, `lsr: …` on stderr, in place of a progress bar; nothing with --quiet."""
    if not _Verbosity.quiet:
        complain(message)


def aside(line: str) -> None:
    """Print a line with styles on stderr; nothing with --quiet."""
    if not _Verbosity.quiet:
        say_styled(line, stream=sys.stderr)


def complain(message: str) -> None:
    """Print an error as `note` does, with --quiet as well."""
    if TerminalProgress.shown is not None:
        TerminalProgress.shown.close()
    say(f"lsr: {' '.join(message.split())}", stream=sys.stderr)


class _LogLines(logging.Handler):
    """Log handler that prints each message as `note` does."""

    def emit(self, record: logging.LogRecord) -> None:
        (complain if record.levelno >= logging.ERROR else note)(record.getMessage())


@contextmanager
def printed_log() -> Iterator[None]:
    """Print what the package logs, from level INFO up (DEBUG with --verbose), on stderr while a command runs.

    The logger is then as it was before, for programs that run a command in their own process.
    """
    logger, handler = logging.getLogger("lsr"), _LogLines()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if _Verbosity.verbose else logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def note_compiling(kernel: str) -> None:
    """Print a note before a kernel is compiled, since that takes a while, unless that happens in the background."""
    from lsr.kernels.jit.first_use import SEARCH, warn_before_compiling
    from lsr.query.engine.compile_ahead import COMPILING

    if kernel == SEARCH and not COMPILING.is_done():
        return
    warn_before_compiling(kernel)
