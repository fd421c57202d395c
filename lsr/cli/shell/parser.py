"""Argument parser that answers a mistake with the usage line of the command and the nearest names."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Parser of a command, or of all; an error is two lines: the usage of the command, and the mistake."""

    def error(self, message: str) -> NoReturn:
        """Print the usage line and the message, and exit with the code 2."""
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"usage: {usage_line(self)}\n{self.prog}: error: {message}{end} '{self.prog} --help' explains\n")

    def refuse_unknown(self, unknown: Iterable[str]) -> NoReturn:
        """Report arguments that no option of this command takes, with the nearest options."""
        given = list(unknown)
        options = [argument for argument in given if argument.startswith("-") and len(argument) > 1]
        known = [option for action in self._actions for option in action.option_strings]
        if not options:
            if len(given) == 1 and "--index" in known and os.path.isdir(given[0]):  # noqa: PTH112  any text
                self.error(f"unexpected {given[0]!r}; an index is named by --index {shlex.quote(given[0])}")
            self.error(f'unexpected {" ".join(map(repr, given))}; put several words in quotes: "two words"')
        name = options[0].partition("=")[0]
        self.error(f"no option {name!r}{did_you_mean(name, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"no command {value!r}{did_you_mean(value, action.choices)}")
        known = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"{value!r} is none of {known}{did_you_mean(str(value), action.choices)}")


def did_you_mean(name: str, known: Iterable[Any]) -> str:
    """Return `; did you mean …?` with the nearest known names, "" where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, [str(each) for each in known], n=2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def usage_line(parser: argparse.ArgumentParser) -> str:
    """Return the usage of a command in one line, its options summed up but for the required ones."""
    positionals = [action for action in parser._actions if not action.option_strings]
    required = [option_text(action) for action in parser._actions if action.option_strings and action.required]
    groups = [group._group_actions for group in parser._mutually_exclusive_groups if group.required]
    required += ["(" + " | ".join(map(option_text, actions)) + ")" for actions in groups]
    return " ".join([parser.prog, *required, "[options]", *map(positional_text, positionals)])


def option_text(action: argparse.Action) -> str:
    """Return an option with what follows it."""
    return f"{action.option_strings[0]} {value_text(action)}".strip()


def positional_text(action: argparse.Action) -> str:
    """Return a positional argument as the usage shows it."""
    if isinstance(action, argparse._SubParsersAction):
        return f"{action.metavar} ..."
    metavar = str(action.metavar or action.dest)
    shown = f"{metavar} ..." if action.nargs in ("*", "+", argparse.REMAINDER) else metavar
    return f"[{shown}]" if action.nargs in ("*", "?") else shown


def value_text(action: argparse.Action) -> str:
    """Return what follows an option: nothing for a switch."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices is not None else None
    metavar = str(action.metavar or choices or action.dest.upper())
    if action.nargs == "?":
        return f"[{metavar}]"
    if action.nargs in ("*", "+"):
        return f"{metavar} ..."
    return " ".join([metavar] * (action.nargs if isinstance(action.nargs, int) else 1))


def commands_of(parser: argparse.ArgumentParser) -> dict[str, tuple[str, Parser]]:
    """Return the summary and the parser of each command."""
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return {name: (summaries[name], found) for name, found in subparsers.choices.items()}
