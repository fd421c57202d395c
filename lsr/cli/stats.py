"""`lsr stats`: what an index holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lsr.cli.common import add_index_argument, human_bytes, index_path


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("stats", help="say what an index holds")
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the statistics."""
    from lsr.indexer.index import Index

    path = index_path(args)
    index = Index.open(path)
    manifest = index.manifest
    document_bytes = sum(s.part.files["documents.arrow"].size_bytes for s in manifest.segments)
    found: dict[str, Any] = {
        "index": str(path),
        "generation": manifest.generation,
        "created": manifest.created,
        "documents": manifest.n_docs,
        "postings": manifest.n_postings,
        "terms": len(index.vocabulary),
        "terms_a_document": round(manifest.n_postings / max(manifest.n_docs, 1), 1),
        "segments": len(manifest.segments),
        "size_bytes": manifest.size_bytes,
        "documents_bytes": document_bytes,
        "bytes_a_posting": round((manifest.size_bytes - document_bytes) / max(manifest.n_postings, 1), 2),
        "scale": manifest.scale,
        "clipped": manifest.n_clipped,
        "encoder": manifest.encoder,
        "statistics": manifest.statistics,
    }
    if args.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        if name.endswith("_bytes"):
            shown = human_bytes(value)
        elif isinstance(value, int):
            shown = f"{value:,}"
        elif isinstance(value, dict):
            shown = ", ".join(f"{key} {inner}" for key, inner in value.items()) or "none"
        else:
            shown = str(value)
        print(f"{name.replace('_', ' '):<18} {shown}")
    return 0
