"""`lsr stats`: contents, sizes and settings of an index."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from lsr.cli.common import add_command, add_index_argument, index_path
from lsr.output.numbers import human_bytes


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "stats",
        "show contents and sizes of an index",
        "Show the contents of an index, the sizes of its parts, and its encoder.",
    )
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the statistics."""
    from lsr.indexer.storage.index import StoredIndex
    from lsr.output.hits import json_line

    path = index_path(args)
    with StoredIndex.open(path) as index:
        found = _statistics(index)
    if args.json:
        print(json_line(found))
    else:
        _print(found)
    return 0


def _statistics(index: Any) -> dict[str, Any]:
    manifest = index.manifest
    sizes: Counter[str] = Counter()
    for segment in manifest.segments:
        for name, info in segment.part.files.items():
            sizes["documents" if name in _DOCUMENT_FILES else "postings"] += info.size_bytes
        if segment.deletions is not None:
            sizes["deletions"] += sum(info.size_bytes for info in segment.deletions.files.values())
        if segment.dense is not None:
            sizes["dense vectors"] += sum(info.size_bytes for info in segment.dense.files.values())
    for kind, part in (("vocabulary", manifest.vocabulary), ("encoder", manifest.encoder_files)):
        sizes[kind] += sum(info.size_bytes for info in part.files.values())
    return {
        "index": str(index.path),
        "documents": manifest.n_docs,
        "deleted": manifest.n_positions - manifest.n_docs,
        "postings": manifest.n_postings,
        "terms": len(index.vocabulary),
        "terms_a_document": round(manifest.n_postings / max(manifest.n_docs, 1), 1),
        "segments": len(manifest.segments),
        "size_bytes": manifest.size_bytes,
        "size_bytes_of": dict(sizes),
        "bytes_a_posting": round(sizes["postings"] / max(manifest.n_postings, 1), 2),
        "encoder": manifest.encoder,
        "dense": manifest.dense,
        "passages": manifest.passages,
        "statistics": manifest.statistics,
        "scale": manifest.scale,
        "clipped": manifest.n_clipped,
        "generation": manifest.generation,
        "created": manifest.created,
        "library_version": manifest.library_version,
    }


_DOCUMENT_FILES = ("documents.arrow", "id_hash.npy", "id_row.npy")


def _print(found: dict[str, Any]) -> None:
    parts = ", ".join(f"{kind} {human_bytes(size)}" for kind, size in found["size_bytes_of"].items() if size)
    statistics = ", ".join(f"{name} {value:,.6g}" for name, value in found["statistics"].items())
    deleted = f", and {found['deleted']:,} deleted that the next merge removes" if found["deleted"] else ""
    lines = {
        "index": found["index"],
        "documents" if found["passages"] is None else "passages": f"{found['documents']:,}{deleted}",
        "terms": f"{found['terms']:,}",
        "postings": f"{found['postings']:,}, {found['terms_a_document']:,} a document",
        "segments": f"{found['segments']:,}",
        "size": f"{human_bytes(found['size_bytes'])}: {parts}",
        "a posting": f"{found['bytes_a_posting']} bytes",
        "encoder": found["encoder"].get("name", "?"),
        "query side": found["encoder"].get("query_side", "?"),
        "settings": _flat(found["encoder"].get("settings") or {}),
        "dense vectors": _dense(found["dense"]),
        "cut by": _flat(found["passages"] or {}),
        "of the corpus": statistics,
        "impacts": f"of {found['scale']:.6g} each, {found['clipped']:,} weights clipped",
        "generation": f"{found['generation']}, made {found['created']} by lsr {found['library_version']}",
    }
    for name, value in lines.items():
        if value:
            print(f"{name:<14} {value}")


def _dense(description: dict[str, Any] | None) -> str:
    """Describe the dense vectors in one line."""
    return "" if description is None else f"of {description['dimension']} numbers, by {description.get('name', '?')}"


def _flat(settings: dict[str, Any], prefix: str = "") -> str:
    """Return nested settings as one line."""
    return ", ".join(
        _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else f"{prefix}{name} {value}"
        for name, value in settings.items()
        if value not in (None, "")
    )
