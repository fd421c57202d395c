"""Error messages in terms of Python: the layers below name options of the command line as remedies."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lsr.errors import LsrError

Function = TypeVar("Function", bound=Callable[..., Any])

_FLAGS = frozenset({"overwrite", "skip-bad", "strict", "remove-missing"})
_RENAMED = {"index": "path", "filter": "where"}
_METHODS = frozenset({"search", "explain", "add", "update", "delete", "merge", "get", "stats", "check", "sync"})
_COMMAND_OR_OPTION = re.compile(
    r"'lsr (?P<command>[a-z]+)(?P<arguments>[^']*)'|--(?P<option>[a-z][a-z-]*)(?: (?:DIR|FILE(?:\.parquet)?|E)\b)?"
)


def in_python(message: str) -> str:
    """Return a message in which arguments and methods replace options and commands.

    A command that Python has no method for is left as it is, with its options.
    """
    return _COMMAND_OR_OPTION.sub(_replacement, message)


def _replacement(match: re.Match[str]) -> str:
    command, arguments, option = match.group("command", "arguments", "option")
    if option is not None:
        return f"{_RENAMED.get(option, option.replace('-', '_'))}={'True' if option in _FLAGS else '…'}"
    if command == "index" and arguments.startswith(" CORPUS"):
        return "lsr.index(…)"
    return f"{command}()" if command in _METHODS and not arguments else match[0]


def python_messages(function: Function) -> Function:
    """Decorate a public function so that the errors it raises speak of Python."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except LsrError as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (in_python(error.args[0]), *error.args[1:])
            raise

    return call  # type: ignore[return-value]
