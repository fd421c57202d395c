"""Options from files: `lsr.toml` in the present folder, and the user's.

A file has options by their names, for all commands that take them, and a table for each command:

    threads = 4

    [search]
    k = 20
    hybrid = true
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lsr.cli.shell.folder_rules import check_folder_setting
from lsr.cli.shell.parser import did_you_mean
from lsr.errors import UsageError
from lsr.io.cache import expanded

NAME = "lsr.toml"
LARGEST_BYTES = 1 << 20
ONLY_GIVEN = frozenset(("help", "version", "overwrite", "skip-bad", "html", "run", "out", "output", "file", "set"))
"""Options that a file can't have: they overwrite something, or lose it, and are given each time."""


class Setting(NamedTuple):
    """An option that a file sets."""

    path: Path
    name: str
    value: Any


def config_paths() -> list[Path]:
    """Return the places of config files, those that count more later."""
    home = os.environ.get("XDG_CONFIG_HOME") or expanded("~/.config")
    return [Path(home) / "lsr" / NAME, Path(NAME)]


def apply_config(
    parser: argparse.ArgumentParser, command: str, commands: Mapping[str, object], *, others: Any = None
) -> list[Setting]:
    """Make the options of config files the defaults of a command's parser, and return them.

    commands: names of all commands. others: returns the names of all options of all commands; called only for a name
    that this command lacks. Raises UsageError for a file that isn't TOML, an unknown name or a value that doesn't fit.
    """
    found: dict[str, Setting] = {}
    options = _options(parser)
    for path in config_paths():
        for name, value in _values(path, command, commands, options, others).items():
            if path == Path(NAME):
                check_folder_setting(path, command, options[name], name, value)
            found[name] = Setting(path, name, value)
    for setting in found.values():
        action = options[setting.name]
        action.required = False
        parser.set_defaults(**{action.dest: _default(action, setting)})
    return list(found.values())


def option_names(parser: argparse.ArgumentParser) -> set[str]:
    """Return the names of the options that a file can set."""
    return set(_options(parser)) - ONLY_GIVEN


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {flag.lstrip("-"): action for action in parser._actions for flag in action.option_strings}


def _values(
    path: Path, command: str, commands: Mapping[str, object], options: Mapping[str, argparse.Action], others: Any
) -> dict[str, Any]:
    """Return the values of a file by the names of the command's options; those of its table count more."""
    content = _read(path)
    table: dict[str, Any] = {}
    general: dict[str, Any] = {}
    for key, value in content.items():
        if not isinstance(value, dict):
            general[key.replace("_", "-")] = value
        elif key not in commands:
            raise UsageError(f"{path}: there is no command {key!r}{did_you_mean(key, commands)}")
        elif key == command:
            table = {name.replace("_", "-"): inner for name, inner in value.items()}
    for name in table:
        _check_name(path, f"[{command}] {name}", name, set(options))
    unknown = [name for name in general if name not in options]
    if unknown:
        known = set(options) | (others() if others is not None else set())
        for name in unknown:
            _check_name(path, name, name, known)
    for name in general:
        _check_name(path, name, name, {name})
    return {name: value for name, value in general.items() if name in options} | table


def _check_name(path: Path, shown: str, name: str, known: set[str]) -> None:
    if name in ONLY_GIVEN:
        raise UsageError(f"{path}: {shown} can't be set by a file; give --{name} where it is meant")
    if name not in known:
        raise UsageError(f"{path}: {shown} is no option{did_you_mean(name, sorted(known - ONLY_GIVEN))}")


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file, nothing where there is none or it is another user's. Raises UsageError."""
    import tomllib

    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # a FIFO isn't waited for
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_uid not in (0, os.geteuid()) or state.st_mode & stat.S_IWOTH:
                return {}
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise UsageError(f"{path} is over {LARGEST_BYTES >> 20} MiB; a config file has a few lines")
        content: dict[str, Any] = tomllib.loads(data.decode())
        return content
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}; remove it, or mend its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def _default(action: argparse.Action, setting: Setting) -> Any:
    """Return the default that a value of a file is, as the command line would give it."""
    value = setting.value
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise _wrong(setting, "it must be true or false")
        return action.const if value else action.default
    if action.nargs == "?" and value is True:
        return action.const
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, (dict, list, bool)) for item in items):
        raise _wrong(setting, "it must be a text, a number or a list of these")
    if action.nargs in ("*", "+") or isinstance(action.nargs, int) or isinstance(action, argparse._AppendAction):
        return [_converted(action, setting, item) for item in items]
    return _converted(action, setting, ",".join(map(str, items)))


def _converted(action: argparse.Action, setting: Setting, item: Any) -> Any:
    text = str(item)
    try:
        value = action.type(text) if callable(action.type) else text
    except (argparse.ArgumentTypeError, ValueError, TypeError) as error:
        raise _wrong(setting, str(error)) from None
    if action.choices is not None and value not in action.choices:
        near = did_you_mean(text, action.choices)
        raise _wrong(setting, f"it must be one of {', '.join(map(str, action.choices))}{near}")
    return value


def _wrong(setting: Setting, why: str) -> UsageError:
    return UsageError(f"{setting.path}: {setting.name} is {setting.value!r}: {why}")
