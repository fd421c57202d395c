"""The documentation is true: its links lead somewhere, its commands parse, its Python runs."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsr.cli.common import documentation_folder
from lsr.cli.formats_table import table
from lsr.cli.main import build_parser
from lsr.cli.reference import commands, pages

FOLDERS = ("lsr", "eval", "query", "indexer", "kernels", "tests", "docs", ".ci")

CODE_LINE = re.compile(r"(?:    |\t)(.*)")
FENCE = re.compile(r"```(\w*) ?(.*)")


def documents(root: Path) -> list[Path]:
    """Return all pages that are for readers."""
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "lsr" / "models").rglob("*.md")]


def links(text: str) -> list[str]:
    """Return the targets of the links and images of a page that lead to files."""
    found = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", without_code(text))
    return [target.partition("#")[0] for target in found if not re.match(r"[a-z]+:|#", target)]


def code_blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the language (of an indented block: none) and the lines of each block of code."""
    language, block, fenced, before = "", [], False, ""
    for line in [*text.splitlines(), ""]:
        fence = FENCE.fullmatch(line)
        if fence:
            if fenced:
                yield language, block
            fenced, language, block = not fenced, f"{fence[1]} {fence[2]}".strip(), []
        elif fenced:
            block.append(line)
        elif (code := CODE_LINE.fullmatch(line)) and (block or not before.strip()):
            block.append(code[1])
        elif block and line.strip():
            yield "", block
            block = []
        before = line
    if block:
        yield language, block


def without_code(text: str) -> str:
    """Return a page without its blocks of code."""
    kept, fenced = [], False
    for line in text.splitlines():
        if FENCE.fullmatch(line):
            fenced = not fenced
        elif not fenced and not CODE_LINE.fullmatch(line):
            kept.append(line)
    return "\n".join(kept)


def command_lines(text: str) -> Iterator[str]:
    """Yield each `lsr …` that a page's code has, without the prompt, comments and redirections."""
    for language, block in code_blocks(text):
        if language not in ("", "sh", "console"):
            continue
        for line in re.sub(r"\\\n\s*", "", "\n".join(block)).splitlines():
            for part in re.split(r"; | \| | && ", re.sub(r"\s\s+#? ?.*$|\s# .*$", "", line.removeprefix("$ ").strip())):
                if re.match(r"lsr [a-z]", part):
                    yield re.split(r" >>? ?[\w./~-]+$", part)[0]


def named_files(text: str) -> set[str]:
    """Return the files of the repository that a page names by their paths."""
    paths = re.findall(rf"(?<![\w./-])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]+\.(?:py|md|toml|png))\b", text)
    return set(paths)


def known_options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def test_links_lead_to_files(root: Path) -> None:
    missing = [
        f"{path.relative_to(root)}: {target}"
        for path in documents(root)
        for target in links(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert missing == []


def test_files_that_are_named_exist(root: Path) -> None:
    missing = [
        f"{path.relative_to(root)}: {name}"
        for path in documents(root)
        for name in sorted(named_files(path.read_text("utf-8")))
        if not (root / name).exists()
    ]
    assert missing == []


def test_commands_parse(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, n_lines = [], 0
    for path in documents(root):
        for line in command_lines(path.read_text("utf-8")):
            n_lines += 1
            try:
                build_parser().parse_args(shlex.split(line)[1:])
            except (SystemExit, ValueError):
                wrong.append(f"{path.relative_to(root)}: {line}\n{capsys.readouterr().err.splitlines()[-1:]}")
    assert wrong == []
    assert n_lines > 50


def test_commands_within_sentences_have_known_options(root: Path) -> None:
    parsers = {name: parser for name, (_, parser) in commands().items()}
    wrong = []
    for path in documents(root):
        for name, rest in re.findall(r"`lsr ([a-z-]+)([^`]*)`", without_code(path.read_text("utf-8"))):
            if name not in parsers:
                wrong.append(f"{path.relative_to(root)}: lsr {name}")
            elif unknown := set(re.findall(r"(?<!\S)--[a-z-]+", rest)) - known_options(parsers[name]):
                wrong.append(f"{path.relative_to(root)}: lsr {name} {unknown}")
    assert wrong == []


def test_the_reference_is_up_to_date(root: Path) -> None:
    written = {path.name: path.read_text("utf-8") for path in (root / "docs" / "commands").iterdir()}
    assert written == pages(), "run `make reference`"


def test_the_table_of_formats_is_up_to_date(root: Path) -> None:
    assert table() in (root / "docs" / "CORPORA.md").read_text("utf-8"), "run `make reference`"


def test_pages_that_help_names_are_packed(root: Path) -> None:
    named = {name for _, parser in commands().values() for name in re.findall(r"docs/[\w/]+\.md", parser.format_help())}
    assert "docs/TRAINING.md" in named
    folder = documentation_folder()
    assert folder == root / "docs"
    assert [name for name in named if not (folder.parent / name).is_file()] == []


def test_every_page_is_found_from_the_index(root: Path) -> None:
    index = root / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in links(index.read_text("utf-8"))}
    pages_there = {
        path.resolve() for path in (root / "docs").rglob("*.md") if path.parent.name != "commands" and path != index
    }
    assert pages_there - linked == set()


@pytest.mark.parametrize("page", ["README.md", "docs/TUTORIAL.md", "docs/SCALE.md", "docs/HANDOFF.md"])
def test_python_of_a_page_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Run the blocks marked `python` one after another, in a folder with notes and with words as the default encoder.

    Blocks marked `python model` need the default model, and don't run.
    """
    blocks = [block for language, block in code_blocks((root / page).read_text("utf-8")) if language == "python"]
    assert blocks
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    notes = {"a": "Vitamin D deficiency weakens bones.", "b": "Cats sleep.", "c": "A walk in the sun."}
    for name, text in notes.items():
        (tmp_path / "notes" / f"{name}.txt").write_text(text)
    exec(compile("\n".join(line for block in blocks for line in block), page, "exec"), {})


def test_what_is_wrong_would_be_found() -> None:
    text = "See [a](b.md#c), `lsr/no.py` and docs/NO.md.\n\n    $ lsr search 'x y' -k 3   # 3\n    lsr stats; lsr check"
    assert links(text) == ["b.md"]
    assert named_files(text) == {"lsr/no.py", "docs/NO.md"}
    assert list(command_lines(text)) == ["lsr search 'x y' -k 3", "lsr stats", "lsr check"]
