"""The command `lsr`: finds the subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import lsr
from lsr.cli import check, doctor, index, leaderboard, search, size_study, stats
from lsr.cli import eval as evaluation
from lsr.errors import LsrError

COMMANDS = (index, search, stats, check, evaluation, leaderboard, size_study, doctor)
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="lsr", description="Learned sparse retrieval: index text, search it exactly.")
    parser.add_argument("--version", action="version", version=f"lsr {lsr.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 usage, 3 index, 4 locked, 130 interrupted."""
    args = build_parser().parse_args(argv)
    try:
        code = args.run(args)
        sys.stdout.flush()
    except LsrError as error:
        print(f"lsr: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("lsr: interrupted; what was there before is unchanged", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (as `| head` does); let nothing complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
