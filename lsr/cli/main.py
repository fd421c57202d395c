"""Command `lsr`: runs a subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import lsr
from lsr.cli import doctor
from lsr.cli.common import note
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
from lsr.errors import LsrError

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
    parser.add_argument("--version", action="version", version=f"lsr {lsr.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 usage, 3 index, 4 locked, 130 interrupted."""
    args = build_parser().parse_args(argv)
    with suppress(ValueError):  # not the main thread of the process: its signals belong to others
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that files written so far are removed
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of an older encoding must not end it
    try:
        code = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except LsrError as error:
        note(str(error))
        if detail := getattr(error, "detail", ""):
            print(detail, file=sys.stderr)
        return error.exit_code
    except MemoryError:
        note("not enough memory; what was there before is unchanged; close other programs, or index in smaller parts")
        return FAILED
    except KeyboardInterrupt:
        note("interrupted; what was there before is unchanged")
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


def _give_up_output() -> None:
    """Discard output that is still buffered, so that no error is printed at exit."""
    with suppress(OSError, AttributeError):  # no output at all, or one that isn't a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
