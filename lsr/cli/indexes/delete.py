"""`lsr delete`: delete documents from an index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command, add_index_argument
from lsr.cli.indexes.change_options import add_common_arguments, run_change
from lsr.output.numbers import counted

EXAMPLES = """\
examples:
  lsr delete notes/old.md notes/older.md   by their doc_ids
  lsr delete --ids-from gone.txt           one doc_id a line
"""
SHOWN = 3


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "delete",
        "delete documents from an index",
        "Delete documents by their doc_ids, in one transaction. Ids that the index lacks\n"
        "are counted; with --strict they are an error.",
        EXAMPLES,
    )
    parser.add_argument("doc_ids", nargs="*", metavar="ID", help="doc_ids, as search results show them")
    add_index_argument(parser)
    parser.add_argument("--ids-from", type=Path, metavar="FILE", help="file with one doc_id a line")
    parser.add_argument("--strict", action="store_true", help="delete nothing if the index lacks one of the ids")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Delete the documents and report the counts."""
    from lsr.errors import UsageError
    from lsr.indexer.update.update import delete_documents

    doc_ids = list(args.doc_ids)
    if args.ids_from is not None:
        doc_ids += _read_ids(args.ids_from)
    if not doc_ids:
        raise UsageError("name what to delete: doc_ids, or --ids-from FILE")

    def change(path: Path, options: dict[str, Any]) -> Any:
        changes = delete_documents(doc_ids, path, strict=args.strict, **options)
        unknown = changes.unknown
        if not unknown:
            return changes, []
        shown = ", ".join(unknown[:SHOWN]) + (", …" if len(unknown) > SHOWN else "")
        return changes, [f"{counted(len(unknown), 'doc_id')} not in the index: {shown}"]

    return run_change(args, change)


def _read_ids(path: Path) -> list[str]:
    from lsr.errors import LsrError

    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise LsrError(f"{path}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error
    except OSError as error:
        raise LsrError(f"{path}: can't be read ({error.strerror or error})") from error
