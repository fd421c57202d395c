"""The options of `lsr eval` by which a system is measured with a second leg, and what they mean."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, positive

if TYPE_CHECKING:
    from lsr.eval.systems.systems import System

OWN_DENSE = (None, "joint")
"""Values of --dense by which a joint encoder's own dense vectors are taken."""


def add_arguments(group: Any) -> None:
    """Declare the options."""
    group.add_argument("--hybrid", action="store_true",
                       help="also measure each with dense vectors: the dense leg, and both fused by --fusion (default: "
                       "min-max), as rerank and as union; with --feedback, feedback in the dense leg, too; warns where "
                       "a fusion loses to a leg")  # fmt: skip
    group.add_argument("--rerank", metavar="R",
                       help="also measure each with its candidates read by R, late-interaction[:MODEL] or "
                       "cross-encoder:MODEL: alone, and both fused by --fusion (default: min-max)")  # fmt: skip
    group.add_argument("--candidates", type=positive, metavar="N", help="of --rerank, 10 to 1000 (default: K)")
    group.add_argument("--dense", metavar="D", help="the dense model of --hybrid (default: the encoder's own dense "
                       "vectors, else all-MiniLM-L6-v2)")  # fmt: skip
    group.add_argument(
        "--dtype", metavar="T", help="of the model of --hybrid or --rerank: float32, bfloat16 or float16"
    )


def second_legs(
    args: argparse.Namespace, systems: Sequence[System], progress: TerminalProgress
) -> Mapping[str, Sequence[Any]]:
    """Return what measures each system with a second leg, by the system's name.

    Raises UsageError for options that don't go together, or are outside their range.
    """
    from lsr.errors import UsageError
    from lsr.query.fusion.registry import make_fuser

    for name in ("dense", "dtype", "candidates"):
        if getattr(args, name) is not None and not args.rerank and (name == "candidates" or not args.hybrid):
            raise UsageError(f"--{name} goes with {'--rerank' if name == 'candidates' else '--hybrid or --rerank'}")
    if not (args.hybrid or args.rerank):
        return {}
    methods = args.fusion or ["min-max"]
    if "learned" in methods:
        raise UsageError("--hybrid and --rerank take no learned fusion: leave out --fusion learned")
    for method in methods:
        make_fuser(method)  # an unknown one is refused before hours of encoding
    found: dict[str, list[Any]] = {}
    for system in systems:
        legs = [
            *(_hybrid(args, system, methods, progress) if args.hybrid else ()),
            *(_reranked(args, system, methods) if args.rerank else ()),
        ]
        if legs:
            found[system.name] = legs
    return found


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {} if args.dtype is None else {"dtype": args.dtype}


def _hybrid(args: argparse.Namespace, system: System, methods: Sequence[str], progress: TerminalProgress) -> list[Any]:
    from lsr.eval.systems.hybrid import HybridSystem
    from lsr.eval.systems.systems import EncoderSystem
    from lsr.query.feedback import Feedback

    if not isinstance(system, EncoderSystem):
        return []
    feedback = None if args.feedback is None else Feedback(n_docs=args.feedback)
    return [HybridSystem(system, args.dense, methods, feedback=feedback, progress=progress, **_options(args))]


def _reranked(args: argparse.Namespace, system: System, methods: Sequence[str]) -> list[Any]:
    from lsr.eval.systems.hybrid import USUAL
    from lsr.eval.systems.reranking import RerankedSystem
    from lsr.eval.systems.systems import EncoderSystem
    from lsr.query.hybrid.settings import Hybrid

    if not isinstance(system, EncoderSystem):
        return []
    if args.candidates is not None:
        Hybrid(candidates=args.candidates)  # refuses what is outside the range
    reranker = f"{args.rerank}:{args.dense or USUAL}" if args.rerank == "late-interaction" else args.rerank
    return [RerankedSystem(system, reranker, methods, candidates=args.candidates, **_options(args))]
