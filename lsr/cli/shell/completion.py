"""`lsr completion`: a script that completes commands, options and their values in a shell."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lsr.cli.common import add_command
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr completion bash > ~/.local/share/bash-completion/completions/lsr
  lsr completion zsh > ~/.zfunc/_lsr      with ~/.zfunc in $fpath
  lsr completion fish > ~/.config/fish/completions/lsr.fish
"""
SHELLS = ("bash", "zsh", "fish")


class Option(NamedTuple):
    """An option of a command. values: the accepted ones, where there are few; takes_value: False for a switch."""

    flags: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    takes_value: bool


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "completion",
        "print a script that completes commands in a shell",
        "Print a script that completes commands, options and their values in a shell.\nMake it again after an update.",
        EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    say(*{"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell](_commands()))
    return 0


def _commands() -> dict[str, tuple[str, list[Option], list[str]]]:
    """Return of each command its summary, its options and the values of its first argument."""
    from lsr.cli.main import COMMANDS, build_parser
    from lsr.cli.shell.parser import commands_of

    found = {}
    for name, (summary, parser) in commands_of(build_parser()).items():
        options = [
            Option(
                tuple(action.option_strings),
                _one_line(argparse.HelpFormatter("lsr")._expand_help(action) if action.help else ""),
                tuple(map(str, action.choices or ())),
                action.nargs != 0,
            )
            for action in parser._actions
            if action.option_strings
        ]
        first = next((action for action in parser._actions if not action.option_strings), None)
        values = [] if first is None else list(map(str, first.choices or ()))
        found[name] = (_one_line(summary), options, sorted(COMMANDS) if name == "help" else values)
    return found


def _one_line(text: str) -> str:
    """Return the first words of a help text, without characters that a shell might interpret."""
    plain = re.sub(r"[^\w ,.:;()/%=+-]", "", " ".join(text.split()))
    return plain if len(plain) <= 60 else plain[:60].rpartition(" ")[0] + " …"


def _bash(commands: dict[str, tuple[str, list[Option], list[str]]]) -> Iterator[str]:
    yield "# Completion of lsr for bash, made by 'lsr completion bash'."
    yield "_lsr() {"
    yield '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""'
    yield "    COMPREPLY=()"
    yield "    if [[ $COMP_CWORD -eq 1 ]]; then"
    yield f'        words="{" ".join([*commands, "--help", "--version"])}"'
    yield "    else"
    yield '        case "${COMP_WORDS[1]} $previous" in'
    for name, (_, options, _first) in commands.items():
        for option in options:
            if option.values:
                patterns = "|".join(f'"{name} {flag}"' for flag in option.flags)
                yield f'            {patterns}) words="{" ".join(option.values)}" ;;'
    yield "        esac"
    yield "        if [[ -z $words ]]; then"
    yield '            case "${COMP_WORDS[1]}$([[ $current == -* ]] && echo " -")" in'
    for name, (_, options, first) in commands.items():
        flags = [flag for option in options for flag in option.flags]
        yield f'                "{name} -") words="{" ".join(flags)}" ;;'
        if first:
            yield f'                "{name}") words="{" ".join(first)}" ;;'
    yield "            esac"
    yield "        fi"
    yield "    fi"
    yield '    [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield "}"
    yield "complete -o default -o bashdefault -F _lsr lsr"


def _zsh(commands: dict[str, tuple[str, list[Option], list[str]]]) -> Iterator[str]:
    yield "#compdef lsr"
    yield "# Completion of lsr for zsh, made by 'lsr completion zsh'."
    yield "_lsr() {"
    yield "  local -a commands"
    yield "  commands=("
    for name, (summary, _, _first) in commands.items():
        yield f"    '{name}:{summary.replace(':', ' ')}'"
    yield "  )"
    yield "  if (( CURRENT == 2 )); then"
    yield "    _describe -t commands command commands"
    yield "    return"
    yield "  fi"
    yield "  local command=$words[2]"
    yield "  shift words"
    yield "  (( CURRENT-- ))"
    yield "  case $command in"
    for name, (_, options, first) in commands.items():
        yield f"    {name})"
        yield "      _arguments \\"
        for option in options:
            shown = option.help.replace(":", "\\:")
            value = f":value:({' '.join(option.values)})" if option.values else ":value:_files"
            for flag in option.flags:
                yield f"        '*{flag}[{shown}]{value if option.takes_value else ''}' \\"
        yield f"        '*:argument:{'(' + ' '.join(first) + ')' if first else '_files'}'"
        yield "      ;;"
    yield "  esac"
    yield "}"
    yield 'if [[ $funcstack[1] == _lsr ]]; then _lsr "$@"; else compdef _lsr lsr; fi'


def _fish(commands: dict[str, tuple[str, list[Option], list[str]]]) -> Iterator[str]:
    yield "# Completion of lsr for fish, made by 'lsr completion fish'."
    for name, (summary, _, _first) in commands.items():
        yield f"complete -c lsr -n __fish_use_subcommand -f -a {name} -d '{summary}'"
    for name, (_, options, first) in commands.items():
        condition = f"-n '__fish_seen_subcommand_from {name}'"
        for option in options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            value = f" -x -a '{' '.join(option.values)}'" if option.values else " -r" if option.takes_value else ""
            yield f"complete -c lsr {condition} {flags}{value} -d '{option.help}'"
        if first:
            yield f"complete -c lsr {condition} -f -a '{' '.join(first)}'"
