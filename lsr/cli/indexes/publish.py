"""`lsr publish`: put an index into an object store, where others open it by its URL."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr publish s3://bucket/papers --index papers
  lsr search "vitamin D" --index s3://bucket/papers      elsewhere

Credentials are those of the environment. A URL may end in
?endpoint=https://host&region=R, and in ?anonymous=true to read.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "publish",
        "put an index into an object store",
        "Put the newest generation of an index, or of a set of shards, under a URL\n"
        "(s3://, gs://, az://, abfs://, file://). Files that are there already are not\n"
        "sent again, and the generation is seen when all of it is there.",
        EXAMPLES,
    )
    parser.add_argument("url", metavar="URL", help="place in an object store")
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Publish the index and report the size."""
    from lsr.indexer.transfer.publish import publish_index

    path = index_path(args)
    progress = TerminalProgress()
    try:
        done = publish_index(path, args.url, progress=progress)
    finally:
        progress.close()
    place = args.url.partition("?")[0]
    if args.json:
        from lsr.io.printable import json_line

        found = {"index": str(path), "url": place, "documents": done.n_docs, "generation": done.generation}
        say(json_line(found | {"sent_bytes": done.n_bytes}))
    else:
        say(
            f"published {counted(done.n_docs, 'document')}, generation {done.generation}, at {place}: "
            f"{human_bytes(done.n_bytes)} sent"
        )
    return 0
