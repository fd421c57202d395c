"""The systems that `lsr eval` measures, as its arguments name them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, add_device_argument, positive
from lsr.cli.indexes.language_options import add_language_arguments, language_of
from lsr.cli.models.model_options import add_model_arguments, model_options
from lsr.cli.searches.option_arguments import add_search_options, options_from
from lsr.models import DEFAULT, default_encoder

if TYPE_CHECKING:
    from lsr.eval.systems.encoder_system import EncoderSystem
    from lsr.eval.systems.indexed_system import IndexedSystem
    from lsr.eval.systems.registry import Resources
    from lsr.eval.systems.system import System
    from lsr.query.options import SearchOptions

OWN_OPTIONS = frozenset(
    ("k", "threads", "hybrid", "rerank", "fuser", "weights", "word_weight", "candidates", "neighbours", "feedback")
)
"""Search options for which `lsr eval` has its own: it measures hybrids and feedback beside the plain search."""

NOT_MEASURED = frozenset(("offset", "sort", "fields", "facets", "total", "explain", "locate", "partial"))
"""Search options that measures, which rank the best documents of a whole index by score, don't take."""

OWN_DENSE = (None, "joint")
"""Values of --dense by which a joint encoder's own dense vectors are taken."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The systems, a row each, and the groups of names in which fusions are compared with their two legs."""

    systems: Sequence[System]
    groups: Sequence[Sequence[str]]


def add_arguments(group: Any) -> None:
    """Declare the options that name systems."""
    group.add_argument(
        "--encoder",
        nargs="+",
        action="extend",
        metavar="E",
        help=f"one or more (default: $LSR_ENCODER, or {DEFAULT})",
    )
    group.add_argument("--fusion", action="append", metavar="METHOD",
                       help="also fuse the systems: min-max, tm2c2, z-score, rrf, dbsf, or learned")  # fmt: skip
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
        "--dtype",
        metavar="T",
        help="data type of models: int8, float32, bfloat16 or float16 (default: their own; int8 "
        "for the bundled model without torch)",
    )
    add_device_argument(group)
    add_model_arguments(group)
    add_language_arguments(group, of="bm25 (models keep that of theirs)")
    group.add_argument("--learn-on", default="dev", metavar="SPLIT", help="where 'learned' learns (default: dev)")
    group.add_argument("--feedback", nargs="?", type=positive, const=10, metavar="DOCS",
                       help="also measure each with feedback from its first DOCS documents (default: 10)")  # fmt: skip
    group.add_argument("--passages", action="store_true",
                       help="also measure each encoder with documents read whole, in passages, and found by their best "
                       "one; otherwise a document is cut where the encoder stops reading")  # fmt: skip
    group.add_argument("--baseline", action="append", metavar="B",
                       help="also measure Lucene: lucene-bm25, or lucene-impact of the ready vectors")  # fmt: skip
    group.add_argument("--vectors", type=Path, metavar="FILE.parquet", help="ready document vectors of one dataset")
    group.add_argument("--queries", type=Path, metavar="FILE", help="ready query vectors that go with --vectors")


def add_search_arguments(group: Any) -> None:
    """Declare the search options that change a ranking; they apply to every encoder's search."""
    from lsr.query.options import option_specs

    left_out = OWN_OPTIONS | NOT_MEASURED
    add_search_options(group, names=[option.name for option in option_specs() if option.name not in left_out])


def search_options(args: argparse.Namespace) -> SearchOptions | None:
    """Return the search options given, None without any. Raises UsageError beside comparisons with other searches."""
    from lsr.errors import UsageError
    from lsr.query.options import SearchOptions

    options = options_from(args)
    if options == SearchOptions():
        return None
    for name in ("hybrid", "rerank", "fusion"):
        if getattr(args, name):
            raise UsageError(
                f"--{name} compares plain searches with others: leave out the search options, or use lsr.evaluate"
            )
    return options


def choose_systems(args: argparse.Namespace, progress: TerminalProgress, n_datasets: int) -> Chosen:
    """Return the systems that arguments name, each followed by its hybrids; then fusions, then baselines.

    Raises UsageError for options that don't go together, or are outside their range.
    """
    from lsr.errors import UsageError
    from lsr.eval.systems.fusion import FusedSystem
    from lsr.eval.systems.indexed_system import SearchedSystem
    from lsr.eval.systems.learned_fusion import LEARNED, LearnedFusion
    from lsr.eval.systems.registry import Resources, open_baseline

    _check_options(args)
    if args.vectors and n_datasets != 1:
        raise UsageError(f"--vectors hold one dataset's documents, but {n_datasets} datasets are named")
    cache = args.cache / "eval" if args.cache else None
    resources = Resources(
        threads=args.threads or 1, cache=cache, progress=progress, vectors=args.vectors, queries=args.queries
    )
    searched = search_options(args)
    rows: list[System] = []
    singles: list[System] = []
    groups: list[Sequence[str]] = []
    for base in _bases(args, resources):
        singles.append(base if searched is None else SearchedSystem(base, searched))
        rows.append(singles[-1])
        for legs, others in _second_legs(args, base, resources):
            rows += [*legs, *others]
            groups.append([base.name, *(system.name for system in legs)])
        if args.feedback is not None:
            singles.append(_with_feedback(base, args.feedback, searched))
            rows.append(singles[-1])
    if args.fusion and not (args.hybrid or args.rerank):
        if len(singles) < 2:
            raise UsageError("--fusion needs two systems or more: name more than one encoder")
        for method in args.fusion:
            learned = method == LEARNED
            rows.append(LearnedFusion(singles, split=args.learn_on) if learned else FusedSystem(singles, method))
    rows += [open_baseline(name, resources) for name in args.baseline or []]
    return Chosen(rows, groups)


def _check_options(args: argparse.Namespace) -> None:
    from lsr.errors import UsageError
    from lsr.eval.systems.learned_fusion import LEARNED

    for name in ("dense", "candidates"):
        if getattr(args, name) is not None and not args.rerank and (name == "candidates" or not args.hybrid):
            raise UsageError(f"--{name} goes with {'--rerank' if name == 'candidates' else '--hybrid or --rerank'}")
    if (args.hybrid or args.rerank) and LEARNED in (args.fusion or []):
        raise UsageError("--hybrid and --rerank take no learned fusion: leave out --fusion learned")


def _bases(args: argparse.Namespace, resources: Resources) -> list[IndexedSystem]:
    from lsr.encoders.device import WORDS
    from lsr.errors import UsageError
    from lsr.eval.systems.encoder_system import EncoderSystem
    from lsr.eval.systems.registry import distinct_names
    from lsr.eval.systems.vectors_system import VectorsSystem

    encoders = list(dict.fromkeys(args.encoder or ([] if args.vectors else [default_encoder()])))
    jointly = bool(args.hybrid) and args.dense in OWN_DENSE
    made_with: dict[str, Any] = {
        "cache": resources.cache, "threads": resources.threads, "progress": resources.progress
    }  # fmt: skip
    placed = {"device": args.device, "dtype": args.dtype, "indexing_threads": args.threads}
    read_as = model_options(args)
    if read_as and not set(encoders) - {WORDS}:
        given = next(iter(read_as)).replace("_", "-")
        raise UsageError(f"--{given} is of a model, but {', '.join(encoders) or '--vectors'} is none: leave it out")
    language = language_of(args)
    if language and WORDS not in encoders:
        given = next(iter(language)).replace("stop_words", "stopwords")
        raise UsageError(f"--{given} is of {WORDS}, but {', '.join(encoders) or '--vectors'} is not: leave it out")
    ways = (False, True) if args.passages else (False,)
    systems: list[IndexedSystem] = [
        EncoderSystem(
            encoder,
            name=name,
            jointly=jointly,
            passages=passages,
            settings=language if encoder == WORDS else read_as,
            **placed,
            **made_with,
        )
        for encoder, name in zip(encoders, distinct_names([Path(e) for e in encoders]), strict=True)
        for passages in ways
    ]
    if args.vectors:
        systems.append(VectorsSystem(args.vectors, args.queries, **made_with))
    return systems


def _with_feedback(base: IndexedSystem, n_docs: int, searched: SearchOptions | None) -> System:
    from lsr.eval.systems.indexed_system import SearchedSystem
    from lsr.query.options import SearchOptions

    options = (searched or SearchOptions()).replace(feedback=n_docs)
    return SearchedSystem(base, options, name=f"{base.name}+feedback")


def _second_legs(
    args: argparse.Namespace, base: IndexedSystem, resources: Resources
) -> list[tuple[Sequence[System], Sequence[System]]]:
    """Return the systems that search an encoder's index with a second leg, those with feedback apart."""
    from lsr.eval.systems.encoder_system import EncoderSystem

    if not isinstance(base, EncoderSystem):
        return []
    options = {name: value for name in ("device", "dtype") if (value := getattr(args, name)) is not None}
    if options.get("dtype") == "int8":  # the kernels run no model of --hybrid and --rerank
        del options["dtype"]
    methods = args.fusion or ["min-max"]
    found: list[tuple[Sequence[System], Sequence[System]]] = []
    if args.hybrid:
        found.append(_hybrids(args, base, methods, resources, options))
    if args.rerank:
        found.append((_reranked(args, base, methods, options), ()))
    return found


def _hybrids(
    args: argparse.Namespace,
    base: EncoderSystem,
    methods: Sequence[str],
    resources: Resources,
    options: dict[str, Any],
) -> tuple[Sequence[System], Sequence[System]]:
    from lsr.eval.systems.dense_feedback import feedback_systems
    from lsr.eval.systems.hybrid import DenseIndex, hybrid_systems
    from lsr.query.feedback import Feedback

    index = DenseIndex(base, args.dense, progress=resources.progress, **options)
    legs = hybrid_systems(index, methods)
    if args.feedback is None:
        return legs, ()
    return legs, feedback_systems(index, Feedback(n_docs=args.feedback), methods[0])


def _reranked(
    args: argparse.Namespace, base: EncoderSystem, methods: Sequence[str], options: dict[str, Any]
) -> Sequence[System]:
    from lsr.eval.systems.hybrid import USUAL
    from lsr.eval.systems.reranking import RerankedLegs, reranked_systems
    from lsr.query.hybrid.settings import Hybrid

    if args.candidates is not None:
        Hybrid(candidates=args.candidates)  # refuses a number outside the range
    reranker = f"{args.rerank}:{args.dense or USUAL}" if args.rerank == "late-interaction" else args.rerank
    return reranked_systems(RerankedLegs(base, reranker, candidates=args.candidates, **options), methods)
