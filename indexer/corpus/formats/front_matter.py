"""Front matter of Markdown and its relatives: YAML or TOML before the text, which becomes fields."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from typing import Any

# What begins with a mere rule (---) is no front matter: its first line must be an entry or a remark.
_FRONT_MATTER = re.compile(
    r"""(---|\+\+\+)[ \t]*\n(?=\s*(?:[\w."'-]+[ \t]*[:=]|\#|---|\+\+\+))(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)""",
    re.DOTALL | re.MULTILINE,
)
_ENTRY = re.compile(r"^([\w.-]+)[ \t]*[:=][ \t]*(\S.*)$", re.MULTILINE)
MAX_BYTES = 64 << 10
"""The longest front matter that is parsed: YAML takes its time."""


def split_front_matter(source: str) -> tuple[dict[str, Any], int]:
    """Return the entries of a text's front matter, which may be none, and the offset where the text begins.

    Front matter that isn't YAML or TOML gives its simple lines `name: value`.
    """
    found = _FRONT_MATTER.match(source)
    if found is None:
        return {}, 0
    entries = _parsed(found[2], found[1]) if len(found[2]) <= MAX_BYTES else None
    if entries is None:
        entries = {name: _unquoted(value.strip()) for name, value in _ENTRY.findall(found[2])}
    return entries, found.end()


def _parsed(text: str, mark: str) -> dict[str, Any] | None:
    """Return the entries of YAML or TOML; None for other texts, and for values nested too deep."""
    try:
        value = _plain(tomllib.loads(text) if mark == "+++" else _yaml(text))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _yaml(text: str) -> Any:
    """Return the value of a YAML text without aliases, which can make a small text enormous. Raises ValueError."""
    import yaml

    class Loader(yaml.SafeLoader):
        """A loader that refuses aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an alias")
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Loader)  # noqa: S506  a safe loader
    except (yaml.YAMLError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> Any:
    """Return a value with dates as texts and the names of entries as texts, as JSON would have them."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    return value


def _unquoted(value: str) -> str:
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
