"""Command `lsr`: runs a subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from lsr.cli.common import complain, is_verbose, note, printed_log, verbosity
from lsr.cli.shell.config_file import Setting, apply_config, config_paths, option_names
from lsr.cli.shell.parser import Parser, commands_of
from lsr.cli.shell.signals import TERMINATED, signals_heeded
from lsr.errors import COMMITTED, LsrError
from lsr.output.terminal import say
from lsr.version import __version__

COMMANDS = {
    "index": "indexes.index",
    "search": "searches.search",
    "explain": "searches.explain",
    "serve": "searches.serve",
    "mcp": "searches.mcp",
    "add": "changes.add",
    "update": "changes.update",
    "sync": "changes.sync",
    "watch": "changes.watch",
    "delete": "changes.delete",
    "merge": "indexes.merge",
    "tune": "models.tune",
    "get": "indexes.get",
    "list": "indexes.list",
    "export": "indexes.export",
    "import": "indexes.import_",
    "publish": "indexes.publish",
    "push": "models.push",
    "pull": "models.pull",
    "encode": "models.encode",
    "encoder": "models.encoder",
    "codes": "models.codes",
    "train": "models.train",
    "mine": "models.mine",
    "expand": "models.expand",
    "stats": "indexes.stats",
    "check": "indexes.check",
    "eval": "evaluation.eval",
    "leaderboard": "evaluation.leaderboard",
    "size-study": "evaluation.size_study",
    "bench": "evaluation.bench",
    "doctor": "doctor",
    "completion": "shell.completion",
    "help": "shell.help",
}
"""Module of each command, in the order of `lsr --help`; only that of the command at hand is imported."""

INSTALLED_BY = {
    "torch": "'lsr-search[torch]'",
    "transformers": "'lsr-search[torch]'",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "accelerate": "'lsr-search[train]'",
    "watchfiles": "'lsr-search[watch]'",
}
"""Libraries that only some commands need, with what `pip install` gets them by."""

FAILED, INTERRUPTED = 1, 130

EPILOG = """\
first steps:
  lsr index notes/                make an index of all texts in a folder
  lsr search "what I look for"    search it
  lsr help search                 every option of a command

options by their names may be kept in lsr.toml here, or in
  ~/.config/lsr/lsr.toml: docs/CONFIG.md

documentation: the folder docs/ that 'lsr doctor' shows, with README.md as its
  list of pages

exit codes: 0 done, 1 failed, 2 usage, 3 index missing or damaged,
  4 index locked, 130 interrupted
"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of one command; without a name, or with an unknown one, that of all commands."""
    parser = Parser(
        prog="lsr",
        description="Learned sparse retrieval: index text, search it exactly.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lsr {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for module in [COMMANDS[command]] if command in COMMANDS else COMMANDS.values():
        import_module(f"lsr.cli.{module}").add_parser(subparsers)
    for each in subparsers.choices.values():
        group = each.add_argument_group("messages")
        group.add_argument("-q", "--quiet", action="store_true", help="print results and errors only, no progress")
        group.add_argument("-v", "--verbose", action="store_true", help="print details: options from files, tracebacks")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 usage, 3 index, 4 locked, 130 interrupted.

    Signal handlers and the settings of stdout are afterwards as they were before.
    """
    _open_standard_files()
    arguments = sys.argv[1:] if argv is None else argv
    try:
        args, settings = _parsed(list(arguments))
    except LsrError as error:
        complain(str(error))
        return error.exit_code
    with signals_heeded() as received, _printable_output(), verbosity(args):
        if is_verbose():
            for path, name, value in settings:
                note(f"{path} sets {name} to {value!r}")
        return _run(args, received)


def _parsed(arguments: list[str]) -> tuple[argparse.Namespace, Sequence[Setting]]:
    """Return the parsed arguments, and what config files set. Raises UsageError for such a file."""
    command = arguments[0] if arguments else ""
    parser = build_parser(command)
    settings: Sequence[Setting] = ()
    is_configured = command in COMMANDS and command not in ("help", "completion")
    if is_configured and any(path.exists() for path in config_paths()):
        of_command = commands_of(parser)[command][1]
        settings = apply_config(of_command, command, COMMANDS, others=_all_options)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands_of(parser)[args.command][1].refuse_unknown(unknown)
    return args, settings


def _all_options() -> set[str]:
    return set().union(*(option_names(parser) for _, parser in commands_of(build_parser()).values()))


def _run(args: argparse.Namespace, received: list[signal.Signals]) -> int:
    try:
        with printed_log():
            code = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  what isn't reported is raised again
        # Libraries may turn the interruption into an error of another kind: what was received decides.
        if signal.SIGTERM in received:
            return TERMINATED
        if signal.SIGINT in received or isinstance(error, KeyboardInterrupt):
            complain(f"interrupted; {_state_after(error)}")
            return INTERRUPTED
        return _reported(error)
    return int(code)


def _reported(error: BaseException) -> int:
    """Print an error that a user can do something about, and return its exit code; raise any other."""
    if isinstance(error, LsrError):
        complain(str(error))
        if is_verbose():
            traceback.print_exception(error)
        if detail := getattr(error, "detail", ""):
            say(*detail.splitlines(), stream=sys.stderr)
        return error.exit_code
    if isinstance(error, MemoryError):
        complain(f"not enough memory; {_state_after(error)}; close other programs, or index in smaller parts")
    elif isinstance(error, ModuleNotFoundError) and error.name in INSTALLED_BY:
        complain(
            f"this needs the package {error.name!r}, which isn't installed: pip install {INSTALLED_BY[error.name]}"
        )
    elif isinstance(error, BrokenPipeError):
        _give_up_output()  # the reader of the output has ended, as `| head` does
        return 0
    elif isinstance(error, FileNotFoundError) and not _has_present_folder():
        complain("the present folder has been removed; go to another one")
    elif isinstance(error, OSError):
        complain(f"{error.filename or 'output'}: {error.strerror or error}")
        if error.filename is None:
            _give_up_output()
    else:
        raise error
    return FAILED


def _has_present_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return False
    return True


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
