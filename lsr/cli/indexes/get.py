"""`lsr get`: documents by their ids."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command, add_index_argument, index_path, note
from lsr.io.printable import clean, json_line
from lsr.output.terminal import say, say_styled

EXAMPLES = """\
examples:
  lsr get notes/todo.md        title, fields and text, to read
  lsr get a b c --json         one JSON object for each
  lsr get 'notes/*.md'         all whose ids fit the pattern
  lsr get notes/todo.md --lines 120:160   these lines of its file
"""
FAILED = 1
NOT_LINES = (
    ".pdf",
    ".ipynb",
    ".docx",
    ".pptx",
    ".epub",
    ".odt",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".tar",
    ".parquet",
)
"""Ends of the names of files whose lines say nothing to a reader: those of the indexed text are printed."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "get",
        "show documents by their ids",
        "Show documents by their doc_ids, as they were indexed. Exit code 1 if the\nindex lacks one of them.",
        EXAMPLES,
    )
    parser.add_argument(
        "doc_ids",
        nargs="+",
        metavar="ID",
        help="doc_ids, as search results show them, or patterns: * is any text, ? any character, [ab] one of several",
    )
    add_index_argument(parser)
    parser.add_argument(
        "--lines", type=line_range, metavar="A:B", help="print only lines A to B of the documents' files, or of their "
        "texts where they have no file, or it is another now"
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object for each document")
    parser.set_defaults(run=run)


def line_range(text: str) -> tuple[int, int]:
    """Parse a range of lines: A:B, or one line."""
    first, colon, last = text.partition(":")
    numbers = int(first or 1), int(last) if last else (sys.maxsize if colon else int(first))
    if not 1 <= numbers[0] <= numbers[1]:
        raise argparse.ArgumentTypeError(f"{text} is no range of lines; give A:B, A being at least 1 and B at least A")
    return numbers


def run(args: argparse.Namespace) -> int:
    """Print the documents, and a note for each that the index lacks."""
    from lsr.api.documents import doc_ids_like, documents_by_id
    from lsr.errors import UsageError
    from lsr.indexer.storage.index import StoredIndex

    if args.json and args.lines is not None:
        raise UsageError("--lines prints lines as they are: leave out --json")
    missing = 0
    with StoredIndex.open(index_path(args)) as index:
        for given in args.doc_ids:
            (document,) = documents_by_id(index, [given])
            names = [given] if document is not None else doc_ids_like(index, given)
            for doc_id in names:
                found = document if doc_id == given else documents_by_id(index, [doc_id])[0]
                if args.lines is not None:
                    _print_lines(index, found, *args.lines)
                else:
                    _print(found, as_json=args.json)
            if not names:
                note(f"no document {given!r} in the index")
                missing += 1
    return FAILED if missing else 0


def _print_lines(index: Any, document: Any, first: int, last: int) -> None:
    from lsr.indexer.corpus.opening import decoded
    from lsr.indexer.sources.staleness import Staleness

    files = Staleness(index)
    (path,), (state,) = files.paths([document.doc_id]), files.of([document.doc_id])
    text = document.text
    if path is not None and state is None and Path(path).suffix.lower() not in NOT_LINES:
        text = decoded(Path(path).read_bytes())
    elif state is not None:
        note(f"the file of {document.doc_id!r} has {state} since it was indexed: these are lines of the indexed text")
    say(*text.split("\n")[first - 1 : last])


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
