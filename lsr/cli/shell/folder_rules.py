"""Options that the config file of a folder can't set, since the folder may be a stranger's.

`lsr.toml` may come with a clone or a download. What it sets must stay in that folder: it can't name files or models
elsewhere, write to a file, delete documents, or open a server to others. The user's own file may.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.errors import UsageError

GIVEN_OR_OWN: Mapping[str, frozenset[str]] = {
    "write to a file": frozenset(("log", "cache", "markdown", "mteb", "plot", "json FILE", "sentence-transformers")),
    "open a server to others": frozenset(
        ("host", "no-auth", "keys", "allow-host", "cors", "root-path", "log-queries", "max-body", "deadline")
    ),
    "tell agents what an index is about": frozenset(("about",)),
    "delete documents": frozenset(("remove-missing", "delete where", "delete ids-from", "update where")),
    "load data sets": frozenset(("check-overlap",)),
    "send data to a server, or take it from one": frozenset(("endpoint", "ray")),
}
"""Options by which a stranger could do harm, by their effects. A metavar or a command is added where a name has
other uses. A folder's file can't set them."""

INSIDE = frozenset(
    "index vectors ids-from stopwords queries qrels data corpus candidate-pool haystack distractors baseline expansions"
    " from".split()
)
"""Options that name files to be read. A folder's file may name what is in the folder."""

MODELS = frozenset(("encoder", "dense", "rerank", "teacher", "base", "query", "model M", "scorer"))
"""Options that name models. A folder's file may name what comes with this program, or is in the folder."""

_OWN_MODELS = frozenset(
    (
        "bm25",
        "codes",
        "cross-encoder",
        "default",
        "densified",
        "joint",
        "late-interaction",
        "none",
        "slim",
        "sparse",
        "",
    )
)


def check_folder_setting(path: Path, command: str, action: argparse.Action, name: str, value: Any) -> None:
    """Raise UsageError for a value that the file of a folder can't give an option."""
    names = {flag.lstrip("-") for flag in action.option_strings}
    forms = {form for each in names for form in (each, f"{each} {action.metavar}", f"{command} {each}")}
    for what, options in GIVEN_OR_OWN.items():
        if options & forms:
            raise _refused(path, name, f"options that {what} can't be set by the file of a folder")
    items = [str(item) for item in (value if isinstance(value, list) else [value])]
    if names & INSIDE:
        for item in items:
            if not _is_inside(item):
                raise _refused(path, name, f"{item!r} is outside this folder")
    if forms & MODELS and action.nargs != 0:
        for item in items:
            if not _is_known_model(item):
                raise _refused(path, name, f"{item!r} is a model that is neither bundled nor in this folder")


def _is_known_model(text: str) -> bool:
    from lsr.models import DEFAULT

    # `densified:96:MODEL` and others name a model behind colons.
    parts = text.split(":")
    return all(
        part in _OWN_MODELS or part == DEFAULT or part.isdecimal() or (_is_inside(part) and Path(part).exists())
        for part in parts
    )


def _is_inside(text: str) -> bool:
    """True for a path in the present folder, links followed. URLs are outside."""
    if "\0" in text or "://" in text or text.startswith("~"):
        return False
    here = os.path.realpath(".")
    return os.path.commonpath([here, os.path.realpath(text)]) == here


def _refused(path: Path, name: str, why: str) -> UsageError:
    return UsageError(
        f"{path}: {name}: {why}, which may be a stranger's; give --{name}, or set it in ~/.config/lsr/{path.name}"
    )
