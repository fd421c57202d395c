"""Command-line arguments of search options, built from their descriptions (`lsr.query.options`)."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lsr.io.option_spec import SEARCH, OptionSpec

if TYPE_CHECKING:
    from lsr.query.options import SearchOptions

NAMES = "search_option_names"
"""Attribute of the parsed arguments: names of the options that the command takes."""


def add_search_options(parser: argparse.ArgumentParser, *, names: Collection[str] | None = None) -> None:
    """Add search options to a command, all or those named; `options_from` reads them."""
    from lsr.query.options import option_specs

    groups: dict[str, Any] = {SEARCH: parser}
    added = []
    for name, spec, _ in option_specs():
        if names is None or name in names:
            if spec.group not in groups:
                groups[spec.group] = parser.add_argument_group(spec.group)
            groups[spec.group].add_argument(*_declared(name, spec), dest=name, help=spec.help, **shape_of(spec))
            added.append(name)
    parser.set_defaults(**{NAMES: tuple(added)})


def options_from(args: argparse.Namespace) -> SearchOptions:
    """Return the search options that the arguments give. Raises UsageError for a value that an option can't have."""
    from lsr.query.options import SearchOptions, check_option, option_spec

    given = {}
    for name in getattr(args, NAMES):
        value = getattr(args, name)
        if value is None:
            continue
        spec = option_spec(name)
        flag = flags_of(name, spec)[0]
        if isinstance(value, list):
            value = ",".join(value)
        if isinstance(value, str):
            value = spec.parse(flag, value)
        given[name] = check_option(name, value, called=flag)
    return SearchOptions.of(**given)


def flags_of(name: str, spec: OptionSpec) -> tuple[str, ...]:
    """Return the flags of an option on the command line."""
    return spec.flags or (f"--{name.replace('_', '-')}",)


def _declared(name: str, spec: OptionSpec) -> tuple[str, ...]:
    """Return the flags to declare: of a pair such as --plain and --no-plain, argparse makes the second."""
    flags = flags_of(name, spec)
    return flags[:1] if spec.kind == "bool" else flags


def shape_of(spec: OptionSpec) -> dict[str, Any]:
    """Return the arguments of `add_argument` that say which values an option takes."""
    if spec.kind == "bool" and len(spec.flags) == 2:
        return {"action": argparse.BooleanOptionalAction}
    if spec.kind == "bool":
        return {"action": "store_const", "const": spec.bare}
    shape: dict[str, Any] = {"metavar": spec.metavar} if spec.metavar else {}
    if spec.choices:
        shape["choices"] = spec.choices
    if spec.n_values is not None:
        return shape | {"nargs": spec.n_values}
    return shape | ({"nargs": "?", "const": spec.bare} if spec.bare is not None else {})
