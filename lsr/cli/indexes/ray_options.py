"""Arguments of the commands that encode and build on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.cli.common import positive


def add_ray_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the cluster and its workers. what: is done there, for the help."""
    group = parser.add_argument_group("a cluster")
    group.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS",
        help=f"{what} on the Ray cluster whose head is at HOST:PORT (default: the one that runs on this machine, or "
        "one of this machine alone)",
    )  # fmt: skip
    group.add_argument(
        "--workers", type=positive, metavar="N", help="processes that encode (default: one a machine, or one a GPU)"
    )
    group.add_argument("--gpus", type=float, metavar="G", help="GPUs of each worker, 0.5 for two on one (default: 0)")


def check_ray_arguments(args: argparse.Namespace) -> None:
    """Raise UsageError for settings of a cluster without one, and outside their range."""
    from lsr.errors import UsageError

    for name in ("workers", "gpus"):
        if args.ray is None and getattr(args, name) is not None:
            raise UsageError(f"--{name} goes with --ray")
    if args.gpus is not None and not 0 <= args.gpus <= 64:
        raise UsageError(f"--gpus is {args.gpus:g}; it must be from 0 to 64")


def encoders_of(args: argparse.Namespace, **spec: Any) -> Any:
    """Return the workers that encode, None without a cluster. spec: the parts of an EncoderSpec."""
    if args.ray is None:
        return None
    from lsr.cluster.encode_actors import EncoderSpec, RayEncoders
    from lsr.io.cores import available_cores

    found = EncoderSpec(threads=args.threads or available_cores(), **spec)
    return RayEncoders(args.ray or None, found, workers=args.workers, gpus=args.gpus or 0.0)


def place_of(name: str | None) -> str | None:
    """Return the name of an encoder as another process finds it: of a folder, its whole path."""
    return str(Path(name).resolve()) if name is not None and Path(name).is_dir() else name


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of an encoder as JSON values."""
    found = {}
    for name, value in options.items():
        is_set = isinstance(value, set | frozenset)
        found[name] = sorted(value) if is_set else str(value) if isinstance(value, Path) else value
    return found
