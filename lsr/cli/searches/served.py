"""Arguments of the indexes that a server or an agent gets, and their opening."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import index_path, note_compiling
from lsr.cli.searches.open_searcher import add_dense_argument
from lsr.cli.searches.option_arguments import add_search_options, options_from

if TYPE_CHECKING:
    from lsr.query.searcher import Searcher
    from lsr.server.served_index import ServedIndex, ServedIndexes

DEFAULTS = (
    "hybrid",
    "rerank",
    "fuser",
    "weights",
    "word_weight",
    "candidates",
    "neighbours",
    "feedback",
    "approximate",
    "partial",
)
"""Options that searches have where a request doesn't give them."""


def add_served_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the indexes, what they are about, and the options of searches that don't say otherwise."""
    parser.add_argument(
        "indexes", nargs="*", metavar="NAME=DIR",
        help="indexes by the names that requests use; the first is meant where none is named",
    )  # fmt: skip
    parser.add_argument("--index", type=Path, metavar="DIR", help="one index (default: .lsr here or in a folder above)")
    parser.add_argument(
        "--about", action="append", default=[], metavar="[NAME=]TEXT",
        help="description of what an index is about, for agents; may be repeated",
    )  # fmt: skip
    add_dense_argument(parser)
    add_search_options(parser, names=DEFAULTS)


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the cluster that searches the shards of sets, and what happens where it fails."""
    group = parser.add_argument_group("a cluster for the shards of a set")
    group.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS",
        help="search the shards of a set by actors of the Ray cluster whose head is at HOST:PORT (default: the one "
        "that runs on this machine, or one of this machine alone)",
    )  # fmt: skip
    group.add_argument("--timeout", type=float, metavar="S", help="seconds that shards get for a request (default: 10)")
    group.add_argument("--restarts", type=int, metavar="N", help="restarts of an actor that died (default: 3; -1: any)")
    group.add_argument("--actors", type=int, metavar="N", help="actors that share the shards (default: one a machine)")
    group.add_argument("--replicas", type=int, metavar="R", help="actors for each share of the shards (default: 1)")


def shards_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return how the shards of sets are searched. Raises UsageError for settings of a cluster without one."""
    from lsr.errors import UsageError

    given: dict[str, Any] = {name: getattr(args, name, None) for name in ("timeout", "restarts", "actors", "replicas")}
    given = {name: value for name, value in given.items() if value is not None}
    if getattr(args, "ray", None) is None:
        if given:
            raise UsageError(f"--{next(iter(given))} goes with --ray")
        return {}
    timeout = given.pop("timeout", None)
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout is {timeout:g}; it must be a number of seconds above 0")
    from lsr.cluster.shard_actors import RayActors

    return {"transport": RayActors(args.ray or None, **given), "timeout_s": timeout}


def open_served(args: argparse.Namespace, *, whole: bool = False) -> ServedIndexes:
    """Open the indexes that the arguments name, and load what searches need. whole: read and verify all of them, too.

    Raises UsageError for arguments that exclude each other, and what opening raises.
    """
    from lsr.server.served_index import ServedIndexes

    indexes = ServedIndexes(_opened(args))
    note_compiling("search_segments")
    for index in indexes.values():
        warm(index.searcher, whole=whole)
    return indexes


def warm(searcher: Searcher, *, whole: bool) -> None:
    """Load what searches need. whole: wait for the compiler, too, and read and verify the whole index."""
    from lsr.query.stages import method_of

    if searcher.index.manifest.encoder["query_side"] != "none":
        searcher.warm_up(wait=whole)
        method_of(searcher.options).encode(searcher, ["ready"])
    if whole:
        searcher.verify()


def _opened(args: argparse.Namespace) -> list[ServedIndex]:
    from lsr.errors import UsageError
    from lsr.query.shards.open import open_searcher
    from lsr.server.served_index import ServedIndex

    options = options_from(args)
    if args.indexes and args.index is not None:
        raise UsageError("name the indexes as NAME=DIR, or give one by --index")
    if args.dense is not None and options.hybrid_search is None:
        raise UsageError("--dense goes with --hybrid or --rerank")
    named = [_pair(text) for text in args.indexes] or [("", index_path(args))]
    names = [name or name_of(path) for name, path in named]
    about, how = _about(args.about, names), shards_of(args)
    return [
        ServedIndex(
            name, open_searcher(path, dense_encoder=args.dense, options=options, **how), about=about.get(name, "")
        )
        for name, (_, path) in zip(names, named, strict=True)
    ]


def _pair(text: str) -> tuple[str, Path]:
    from lsr.errors import UsageError

    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"{text!r:.80} is no index with its name; give NAME=DIR, as notes=.lsr")
    return name, Path(path)


def _about(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, rest = text.partition("=")
        if equals and name in names:
            found[name] = rest
        else:
            found[names[0]] = text
    return found


def name_of(path: Path) -> str:
    """Return the name of an index that was given none: that of its folder, or of the one around `.lsr`."""
    from lsr.indexer.storage.find_index import DEFAULT_NAME
    from lsr.server.served_index import LONGEST_NAME, RESERVED

    folder = path.resolve()
    if folder.name == DEFAULT_NAME:
        folder = folder.parent
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).lstrip("._-")[:LONGEST_NAME]
    return name if name and name not in RESERVED else "index"
