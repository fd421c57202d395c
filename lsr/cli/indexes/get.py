"""`lsr get`: documents by their ids."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command, add_index_argument, index_path, note
from lsr.io.printable import clean, json_line
from lsr.output.terminal import say, say_styled

EXAMPLES = """\
examples:
  lsr get notes/todo.md        title, fields and text, to read
  lsr get a b c --json         one JSON object for each
"""
FAILED = 1


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "get",
        "show documents by their ids",
        "Show documents by their doc_ids, as they were indexed. Exit code 1 if the\nindex lacks one of them.",
        EXAMPLES,
    )
    parser.add_argument("doc_ids", nargs="+", metavar="ID", help="doc_ids, as search results show them")
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object for each document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the documents, and a note for each that the index lacks."""
    from lsr.api.documents import documents_by_id
    from lsr.indexer.storage.index import StoredIndex

    missing = 0
    with StoredIndex.open(index_path(args)) as index:
        for doc_id in args.doc_ids:
            (document,) = documents_by_id(index, [doc_id])
            if document is not None:
                _print(document, as_json=args.json)
            else:
                note(f"no document {doc_id!r} in the index")
                missing += 1
    return FAILED if missing else 0


def document_json(document: Any, *, text: bool = True) -> dict[str, Any]:
    """Return a document as `--json` prints it."""
    shown = {"doc_id": document.doc_id, "title": document.title}
    return shown | ({"text": document.text} if text else {}) | {"fields": dict(document.fields)}


def _print(document: Any, *, as_json: bool) -> None:
    from lsr.output.terminal import BOLD, DIM, style

    if as_json:
        say(json_line(document_json(document)))
        return
    say_styled(style(clean(document.doc_id), BOLD))
    if document.title:
        say(document.title)
    for name, value in document.fields.items():
        say_styled(style(clean(f"{name}: {json_line(value)}"), DIM))
    say(*document.text.splitlines(), "")
