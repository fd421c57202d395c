"""Command `lsr`: runs a subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lsr.cli import doctor
from lsr.cli.common import note, printed_log
from lsr.cli.evaluation import bench, leaderboard, size_study
from lsr.cli.evaluation import eval as evaluation
from lsr.cli.indexes import add, check, delete, index, stats, update
from lsr.cli.indexes import export as exporting
from lsr.cli.indexes import get as getting
from lsr.cli.indexes import import_ as importing
from lsr.cli.indexes import list as listing
from lsr.cli.indexes import merge as merging
from lsr.cli.models import codes, encode, mine, train
from lsr.cli.searches import explain, search, serve
from lsr.errors import COMMITTED, LsrError
from lsr.version import __version__

COMMANDS = (
    index,
    search,
    explain,
    serve,
    add,
    update,
    delete,
    merging,
    getting,
    listing,
    exporting,
    importing,
    encode,
    codes,
    train,
    mine,
    stats,
    check,
    evaluation,
    leaderboard,
    size_study,
    bench,
    doctor,
)
INSTALLED_BY = {
    "torch": "'lsr-search[torch]'",
    "transformers": "'lsr-search[torch]'",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "accelerate": "'lsr-search[train]'",
}
"""Libraries that only models and their training need, with what `pip install` gets them by."""

FAILED, INTERRUPTED, TERMINATED = 1, 130, 143

EPILOG = """\
first steps:
  lsr index notes/                make an index of all texts in a folder
  lsr search "what I look for"    search it

documentation: the folder docs/ that 'lsr doctor' shows, with README.md as its
  list of pages

exit codes: 0 done, 1 failed, 2 usage, 3 index missing or damaged,
  4 index locked, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="lsr",
        description="Learned sparse retrieval: index text, search it exactly.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lsr {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 usage, 3 index, 4 locked, 130 interrupted.

    Signal handlers and the settings of stdout are afterwards as they were before.
    """
    _open_standard_files()
    args = build_parser().parse_args(argv)
    with _terminated_cleanly(), _printable_output():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        with printed_log():
            code = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except LsrError as error:
        note(str(error))
        if detail := getattr(error, "detail", ""):
            print(detail, file=sys.stderr)
        return error.exit_code
    except MemoryError as error:
        note(f"not enough memory; {_state_after(error)}; close other programs, or index in smaller parts")
        return FAILED
    except ModuleNotFoundError as error:
        if error.name not in INSTALLED_BY:
            raise
        note(f"this needs the package {error.name!r}, which isn't installed: pip install {INSTALLED_BY[error.name]}")
        return FAILED
    except KeyboardInterrupt as error:
        note(f"interrupted; {_state_after(error)}")
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # the reader of the output has ended, as `| head` does
        return 0
    except OSError as error:
        note(f"{error.filename or 'output'}: {error.strerror or error}")
        if error.filename is None:
            _give_up_output()
        return FAILED
    return int(code)


def _open_standard_files() -> None:
    """Open the null device where stdin, stdout or stderr is closed: else the next file would get its number.

    What libraries print there would be written into a file of an index.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")


def _state_after(error: BaseException) -> str:
    """Return what became of the index that a command was changing."""
    return COMMITTED if COMMITTED in getattr(error, "__notes__", []) else "what was there before is unchanged"


@contextmanager
def _terminated_cleanly() -> Iterator[None]:
    """Let SIGTERM end the command as an exception, so that unfinished work is removed; restore its handler at the end.

    Outside the main thread nothing is changed: signals belong to that one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        # None is a handler that wasn't set from Python, which can't be set again from here.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextmanager
def _printable_output() -> Iterator[None]:
    """Escape what the terminal's encoding can't show, instead of failing; restore the setting at the end."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        yield
        return
    before = stdout.errors
    stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with suppress(ValueError, OSError):  # closed, or nobody reads it any more
            stdout.reconfigure(errors=before)


def _give_up_output() -> None:
    """Discard output that is still buffered, so that no error is printed at exit."""
    with suppress(OSError, AttributeError):  # no output at all, or one that isn't a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
