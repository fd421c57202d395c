"""`lsr stats`: contents, sizes and settings of an index."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, add_index_argument, index_path, note, positive
from lsr.output.numbers import human_bytes
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.api.stats import Stats


QUERIES = 200


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "stats",
        "show contents and sizes of an index",
        "Show the contents of an index, the sizes of its parts, and its encoder.",
    )
    add_index_argument(parser)
    parser.add_argument(
        "--recall", type=positive, nargs="?", const=QUERIES, metavar="N",
        help="first measure what approximate searches find of the exact results, on N queries made of the heaviest "
        f"terms of the index's own documents (default: {QUERIES}), and keep it with the index",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the statistics."""
    from lsr.api.stats import stats_of
    from lsr.indexer.storage.index import StoredIndex
    from lsr.io.printable import json_line

    if args.recall is not None:
        _measure_recall(index_path(args), args.recall)
    with StoredIndex.open(index_path(args)) as index:
        found = _statistics(stats_of(index))
    if args.json:
        say(json_line(found))
    else:
        _print(found)
    return 0


def _statistics(stats: Stats) -> dict[str, Any]:
    """Return the statistics as `--json` prints them."""
    sizes = dict(stats.size_bytes_of)
    return {
        "index": stats.path,
        "documents": stats.n_documents,
        **({} if stats.n_passages is None else {"n_passages": stats.n_passages}),
        "deleted": stats.n_deleted,
        "postings": stats.n_postings,
        "terms": stats.n_terms,
        "terms_a_document": round(stats.n_postings / max(stats.n_passages or stats.n_documents, 1), 1),
        "segments": stats.n_segments,
        **({} if stats.n_shards is None else {"shards": stats.n_shards, "partition": stats.partition}),
        "size_bytes": stats.size_bytes,
        "size_bytes_of": sizes,
        "bytes_a_posting": round(sizes.get("postings", 0) / max(stats.n_postings, 1), 2),
        "encoder": stats.encoder,
        "dense": stats.dense,
        **({} if stats.tuning is None else {"tuning": stats.tuning}),
        **({} if stats.smoothing is None else {"smoothing": dict(stats.smoothing)}),
        **({} if stats.pruning is None else {"pruning": dict(stats.pruning)}),
        **({} if stats.recall is None else {"recall": dict(stats.recall)}),
        "passages": stats.passages,
        "statistics": stats.statistics,
        "scale": stats.scale,
        "clipped": stats.n_clipped,
        "generation": stats.generation,
        "created": stats.created,
        "library_version": stats.library_version,
    }


def _print(found: dict[str, Any]) -> None:
    parts = ", ".join(f"{kind} {human_bytes(size)}" for kind, size in found["size_bytes_of"].items() if size)
    statistics = ", ".join(f"{name} {value:,.6g}" for name, value in found["statistics"].items())
    deleted = f", and {found['deleted']:,} deleted that the next merge removes" if found["deleted"] else ""
    cut = found["passages"] is not None
    lines = {
        "index": found["index"],
        "documents": f"{found['documents']:,}{'' if cut else deleted}",
        "passages": f"{found['n_passages']:,}{deleted}" if cut else "",
        "terms": f"{found['terms']:,}",
        "postings": f"{found['postings']:,}, {found['terms_a_document']:,} a {'passage' if cut else 'document'}",
        "shards": f"{found['shards']:,}, by {found['partition']}" if "shards" in found else "",
        "segments": f"{found['segments']:,}",
        "size": f"{human_bytes(found['size_bytes'])}: {parts}",
        "a posting": f"{found['bytes_a_posting']} bytes",
        "encoder": found["encoder"].get("name", "?"),
        "query side": found["encoder"].get("query_side", "?"),
        "settings": _flat(found["encoder"].get("settings") or {}),
        "dense vectors": _dense(found["dense"]),
        "hybrid search": _tuning(found.get("tuning")),
        "smoothed": _flat(found.get("smoothing") or {}),
        "pruned": _pruning(found.get("pruning"), found["postings"], "passages" if cut else "documents"),
        "approximate": _recall(
            found.get("recall"), found.get("n_passages", found["documents"]), "passages" if cut else "documents"
        ),
        "cut by": _flat(found["passages"] or {}),
        "of the corpus": statistics,
        "impacts": f"of {found['scale']:.6g} each, {found['clipped']:,} weights clipped",
        "generation": f"{found['generation']}, made {found['created']} by lsr {found['library_version']}",
    }
    for name, value in lines.items():
        if value:
            say(f"{name:<14} {value}")


def _dense(description: dict[str, Any] | None) -> str:
    """Describe the dense vectors in one line."""
    return "" if description is None else f"of {description['dimension']} numbers, by {description.get('name', '?')}"


def _tuning(tuning: dict[str, Any] | None) -> str:
    """Describe the settings of hybrid search in one line, and what they were chosen on."""
    if tuning is None:
        return ""
    from lsr.indexer.hybrid_tuning import HybridTuning

    on = tuning["chosen_on"]
    described = HybridTuning.from_json(tuning).described
    return f"{described}; by {on.get('n_queries', '?')} {on.get('queries', 'queries')}"


def _measure_recall(path: Path, n_queries: int) -> None:
    """Measure approximate search, and keep what was found with the index, where it is no set."""
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.update.set_in_manifest import set_recall
    from lsr.query.recall import measure_recall
    from lsr.query.searcher import Searcher

    with StoredIndex.open(path) as index:
        measured = measure_recall(Searcher(index), n_queries=n_queries)
    if index.partition is None:
        set_recall(path, measured)
    else:
        note(f"a set keeps no recall; measured now: {_recall(measured, index.manifest.n_docs, 'documents')}")


def _pruning(pruning: dict[str, Any] | None, n_postings: int, of: str) -> str:
    """Describe in one line how documents were pruned, and what that costs."""
    if pruning is None:
        return ""
    dropped = pruning["n_dropped"] / max(1, n_postings + pruning["n_dropped"])
    line = f"to {pruning['mass']:g} of a document's mass, {dropped:.0%} of postings left out"
    if pruning["recall"] is None:
        return line
    return f"{line}; recall@10 {pruning['recall']:.3f} among {pruning['n_sampled']:,} {of}"


def _recall(recall: Mapping[str, Any] | None, n_rows: int, of: str) -> str:
    """Describe in one line what approximate searches find."""
    if recall is None:
        return ""
    levels = "; ".join(
        f"{level} " + ", ".join(f"recall@{k} {value:.3f}" for k, value in found.items())
        for level, found in recall["levels"].items()
    )
    since = "" if recall["n_docs"] == n_rows else f", when there were {recall['n_docs']:,} {of}"
    return f"{levels} ({recall['n_queries']:,} queries{since})"


def _flat(settings: dict[str, Any], prefix: str = "") -> str:
    """Return nested settings as one line."""
    return ", ".join(
        _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else f"{prefix}{name} {value}"
        for name, value in settings.items()
        if value not in (None, "")
    )
