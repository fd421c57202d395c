"""The table of file formats of docs/CORPORA.md, written from the registry: `python -m lsr.cli.formats_table`."""

from __future__ import annotations

import sys
from pathlib import Path

from lsr.indexer.corpus.file_format import EXTRA, FileFormat
from lsr.indexer.corpus.registry import all_formats

BEGIN, END = "<!-- formats -->", "<!-- end of formats -->"


def table() -> str:
    """Return the formats with what of a file becomes title, text and fields, as a Markdown table."""
    rows = [f"| {_name(each)} | {each.title} | {each.text} | {each.fields or '–'} |" for each in all_formats()]
    return "\n".join([BEGIN, "", "| format | title | text | fields |", "| --- | --- | --- | --- |", *rows, "", END])


def _name(each: FileFormat) -> str:
    shown = [f"`{suffix}`" for suffix in each.suffixes[:12]]
    more = f" and {len(each.suffixes) - 12} others" if len(each.suffixes) > 12 else ""
    needs = f" (`lsr-search[{EXTRA}]`)" if each.library else ""
    return f"**{each.name}** {' '.join(shown)}{more}{needs}"


def main() -> int:
    """Write the table into the page that is the only argument."""
    page = Path(sys.argv[1])
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    page.write_text(before + table() + rest.partition(END)[2], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
