"""`lsr delete`: delete documents from an index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.changes.change_options import add_common_arguments, run_change
from lsr.cli.common import add_command, add_index_argument, index_path, note
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr delete notes/old.md notes/older.md   by their doc_ids
  lsr delete --ids-from gone.txt           one doc_id a line
  lsr delete --where "year < 2000"         by a filter on their fields
  lsr delete --where "year < 2000" --dry-run   count and name them only
"""
SHOWN = 3


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "delete",
        "delete documents from an index",
        "Delete documents by their doc_ids, or by a filter on their fields, in one\n"
        "transaction. Ids that the index lacks are counted; with --strict they are an\n"
        "error.",
        EXAMPLES,
    )
    parser.add_argument("doc_ids", nargs="*", metavar="ID", help="doc_ids, as search results show them")
    add_index_argument(parser)
    parser.add_argument("--ids-from", type=Path, metavar="FILE", help="file with one doc_id a line")
    parser.add_argument("--where", metavar="F", help="filter that chooses the documents, as in 'lsr search --where'")
    parser.add_argument("--dry-run", action="store_true", help="print the doc_ids, and delete nothing")
    parser.add_argument("--strict", action="store_true", help="delete nothing if the index lacks one of the ids")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Delete the documents and report the counts."""
    from lsr.api.edit import choice_of
    from lsr.errors import UsageError
    from lsr.indexer.update.update import delete_chosen, delete_documents

    doc_ids = list(args.doc_ids)
    if args.ids_from is not None:
        doc_ids += _read_ids(args.ids_from)
    if bool(doc_ids) == (args.where is not None):
        raise UsageError("name what to delete: either doc_ids or --ids-from FILE, or a filter by --where")
    if args.dry_run:
        return _show(args, doc_ids)

    def change(path: Path, options: dict[str, Any]) -> Any:
        if args.where is not None:
            return delete_chosen(choice_of(args.where, None), path, **options), []
        changes = delete_documents(doc_ids, path, strict=args.strict, **options)
        unknown = changes.unknown
        if not unknown:
            return changes, []
        shown = ", ".join(unknown[:SHOWN]) + (", …" if len(unknown) > SHOWN else "")
        return changes, [f"{counted(len(unknown), 'doc_id')} not in the index: {shown}"]

    return run_change(args, change)


def _show(args: argparse.Namespace, doc_ids: list[str]) -> int:
    """Print the documents that would be deleted."""
    from lsr.api.documents import documents_by_id
    from lsr.api.edit import choice_of
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.update.chosen import chosen_ids
    from lsr.io.printable import json_line

    path = index_path(args)
    with StoredIndex.open(path) as index:
        if args.where is not None:
            found = chosen_ids(index, choice_of(args.where, None))
        else:
            wanted = list(dict.fromkeys(doc_ids))
            documents = documents_by_id(index, wanted)
            found = [doc_id for doc_id, document in zip(wanted, documents, strict=True) if document is not None]
    if args.json:
        say(json_line({"index": str(path), "dry_run": True, "deleted": len(found), "doc_ids": found}))
        return 0
    for doc_id in found:
        say(doc_id)
    note(f"{counted(len(found), 'document')} would be deleted")
    return 0


def _read_ids(path: Path) -> list[str]:
    from lsr.errors import LsrError

    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise LsrError(f"{path}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error
    except OSError as error:
        raise LsrError(f"{path}: can't be read ({error.strerror or error})") from error
