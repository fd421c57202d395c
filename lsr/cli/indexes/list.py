"""`lsr list`: list the documents of an index."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command, add_index_argument, index_path, positive
from lsr.output.terminal import say, say_row

EXAMPLES = """\
examples:
  lsr list                                 all documents
  lsr list --filter "year < 2000" --json   some, with their fields
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "list",
        "list the documents of an index",
        "List the documents of an index in the order in which they were added: doc_id, a\n"
        "tab, title. With --json also the fields.",
        EXAMPLES,
    )
    add_index_argument(parser)
    parser.add_argument("--filter", metavar="F", dest="filter_text", help="only documents whose fields match")
    parser.add_argument("--limit", type=positive, metavar="N", help="largest number of documents (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the documents."""
    from itertools import islice

    from lsr.api.documents import all_documents
    from lsr.cli.indexes.get import document_json
    from lsr.indexer.storage.index import StoredIndex
    from lsr.io.printable import json_line

    with StoredIndex.open(index_path(args)) as index:
        documents = all_documents(index, args.filter_text)
        for document in islice(documents, args.limit):
            if args.json:
                say(json_line(document_json(document, text=False)))
            else:
                say_row(document.doc_id, " ".join(document.title.split()))
    return 0
