"""`lsr help`: the help of a command."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command
from lsr.output.terminal import say


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers, "help", "show the help of a command", "Show the help of a command, as COMMAND --help does."
    )
    parser.add_argument("name", nargs="?", metavar="COMMAND", help="a command (default: the list of all)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the help of a command, or of all."""
    from lsr.cli.main import COMMANDS, build_parser
    from lsr.cli.shell.parser import commands_of, did_you_mean
    from lsr.errors import UsageError

    if args.name is not None and args.name not in COMMANDS:
        near = did_you_mean(args.name, COMMANDS)
        raise UsageError(f"no command {args.name!r}{near}; 'lsr help' lists all")
    parser = build_parser(args.name)
    say(*(parser if args.name is None else commands_of(parser)[args.name][1]).format_help().splitlines())
    return 0
