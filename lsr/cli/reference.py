"""Reference pages of all commands, written from their parsers: `python -m lsr.cli.reference docs/commands`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lsr.cli.main import build_parser
from lsr.cli.shell.parser import Parser, commands_of, positional_text, usage_line, value_text

GENERATED = "<!-- Written by `make reference` from the command's parser: change the parser, not this page. -->"
COLUMNS = argparse.HelpFormatter("lsr", width=10_000)
"""Formatter that expands `%(default)s` and the like, without breaking lines."""


def commands() -> dict[str, tuple[str, Parser]]:
    """Return the summary and the parser of each command, in the order of `lsr --help`."""
    return commands_of(build_parser())


def page(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the reference page of a command as Markdown."""
    lines = [GENERATED, "", f"# lsr {name}", "", *_description(parser), "", "```text", usage_line(parser), "```"]
    for group in parser._action_groups:
        rows = [_row(action) for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if rows:
            title = "arguments" if group.title == "positional arguments" else group.title or "options"
            lines += ["", f"## {title.capitalize()}", "", "| | |", "| --- | --- |", *rows]
    lines += _epilog(parser.epilog or "")
    return "\n".join(lines) + "\n"


def index_page() -> str:
    """Return the page that lists all commands."""
    rows = [f"| [`lsr {name}`]({name}.md) | {_cell(summary)} |" for name, (summary, _) in commands().items()]
    return "\n".join([GENERATED, "", "# Commands", "", "| | |", "| --- | --- |", *rows]) + "\n"


def pages() -> dict[str, str]:
    """Return the content of every reference page by the name of its file."""
    found = {f"{name}.md": page(name, parser) for name, (_, parser) in commands().items()}
    return {"README.md": index_page(), **found}


def _description(parser: argparse.ArgumentParser) -> list[str]:
    """Return the description with its paragraphs' line breaks, and indented lines as code."""
    return [_linked(line.rstrip()) for line in (parser.description or "").strip().splitlines()]


def _row(action: argparse.Action) -> str:
    if action.option_strings:
        shown = ", ".join(f"{option} {value_text(action)}".strip() for option in action.option_strings)
    else:
        shown = positional_text(action)
    text = COLUMNS._expand_help(action) if action.help else ""
    return f"| `{_cell(shown)}` | {_cell(text)} |"


def _cell(text: str) -> str:
    """Return text for a cell of a table: one line, its bars escaped."""
    return _linked(re.sub(r"\s+", " ", text).replace("|", r"\|"))


def _epilog(epilog: str) -> list[str]:
    """Return the epilog with its headings as headings, and its indented lines as code."""
    lines: list[str] = []
    was_code = False
    for line in epilog.rstrip().splitlines():
        is_code = line.startswith("  ")
        if is_code != was_code and lines and lines[-1]:
            lines.append("")
        heading = re.fullmatch(r"([a-z ]+):", line)
        if heading:
            lines += [f"## {heading[1].capitalize()}"]
        elif is_code:
            lines.append("    " + line[2:])
        elif line or lines[-1]:
            lines.append(_linked(line))
        was_code = is_code
    return ["", *lines] if lines else []


def _linked(text: str) -> str:
    """Return text in which the documentation's pages are links from `docs/commands/`."""
    return re.sub(r"docs/(\w+\.md)", r"[docs/\1](../\1)", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Write all pages to a folder; pages of commands that are gone are removed."""
    (folder,) = sys.argv[1:] if argv is None else argv
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    content = pages()
    for old in target.glob("*.md"):
        if old.name not in content:
            old.unlink()
    for name, text in content.items():
        (target / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
