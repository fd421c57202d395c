"""Docstrings are plain: a verb or a noun first, one short sentence, no private vocabulary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

FOLDERS = ("lsr", "eval", "query", "indexer", "kernels")
LONGEST_SENTENCE = 20
"""Words in the first sentence of a docstring."""

QUESTIONS = {"what", "which", "where", "how", "who", "whose", "why", "when", "whether"}
NO_VERBS = QUESTIONS | {
    "the",
    "a",
    "an",
    "this",
    "that",
    "these",
    "those",
    "it",
    "its",
    "all",
    "one",
    "two",
    "of",
    "for",
}
"""Words that a function's docstring can't begin with, since none is a verb."""

AVOIDED = (
    "anew", "besides", "goes on", "go on with", "passed over", "pass over", "is told", "of its own", "that is to be",
    "whoever", "comes along", "come along",
)  # fmt: skip
"""Phrases that no search engine would find; docs/CONTRIBUTING.md has plainer ones."""

PENDING: tuple[str, ...] = ()
"""Folders whose docstrings are still to be rewritten."""

PENDING_DOCUMENTS: tuple[str, ...] = ()
"""Pages that are still to be rewritten."""


@dataclass(frozen=True)
class Docstring:
    """A docstring with its place. kind: module, class, property, constant or function."""

    place: str
    kind: str
    text: str

    @property
    def first_sentence(self) -> str:
        """The first sentence, without code in backticks."""
        paragraph = self.text.strip().split("\n\n")[0]
        plain = re.sub(r"`[^`]*`", "code", " ".join(paragraph.split()))
        return re.split(r"(?<=[.!?])\s", plain, maxsplit=1)[0]

    @property
    def first_word(self) -> str:
        """The first word, in lower case."""
        return re.split(r"[\s,.:;]", self.first_sentence, maxsplit=1)[0].lower()


def kind_of(node: ast.AST) -> str:
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    names = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return "property" if names & {"property", "cached_property"} else "function"


def docstrings(path: Path, place: str) -> Iterator[Docstring]:
    """Yield the docstrings of a file, those below constants and attributes among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from _below_constants(node.body, place)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Docstring(f"{place}:{getattr(node, 'lineno', 1)}", kind_of(node), text)


def _below_constants(body: list[ast.stmt], place: str) -> Iterator[Docstring]:
    for before, below in pairwise(body):
        if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                yield Docstring(f"{place}:{below.lineno}", "constant", text)


def faults(docstring: Docstring) -> list[str]:
    """Return what is wrong with a docstring."""
    found = []
    word, n_words = docstring.first_word, len(docstring.first_sentence.split())
    if word in (NO_VERBS if docstring.kind == "function" else QUESTIONS):
        found.append(f"{docstring.place}: a {docstring.kind}'s docstring begins with {word!r}")
    if n_words > LONGEST_SENTENCE:
        found.append(f"{docstring.place}: its first sentence has {n_words} words, more than {LONGEST_SENTENCE}")
    return found


def avoided_phrases(text: str, place: str) -> list[str]:
    """Return the phrases of a file's code, comments or prose that have a plainer word."""
    low = " ".join(text.lower().split())
    return [f"{place}: {phrase!r}" for phrase in AVOIDED if re.search(rf"\b{phrase}\b", low)]


def test_docstrings_are_plain_english(root: Path) -> None:
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            if not place.startswith(PENDING):
                found += avoided_phrases(path.read_text(encoding="utf-8"), place)
                for docstring in docstrings(path, place):
                    found += faults(docstring)
    assert found == []


def test_documents_are_plain_english(root: Path) -> None:
    found = []
    for path in (*root.glob("*.md"), *(root / "docs").rglob("*.md")):
        place = path.relative_to(root).as_posix()
        if not place.startswith(PENDING_DOCUMENTS):
            found += avoided_phrases(path.read_text(encoding="utf-8"), place)
    assert found == []


def test_an_avoided_phrase_would_be_found() -> None:
    assert avoided_phrases("The index is\nmade anew.", "here") == ["here: 'anew'"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("function", "What a segment is called."),
        ("property", "Whether it is there."),
        ("function", "The documents of a query."),
        ("module", "How hits are shown."),
        ("function", "Return " + "one " * LONGEST_SENTENCE + "word."),
    ],
)
def test_a_fault_would_be_found(kind: str, text: str) -> None:
    assert len(faults(Docstring("here", kind, text))) == 1


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("function", "Return a key that identifies a segment.\n\nWhat it depends on follows."),
        ("property", "The first sentence."),
        ("module", "Storage of documents: titles, texts and fields of every document that a segment has, in order."),
    ],
)
def test_plain_docstrings_pass(kind: str, text: str) -> None:
    assert faults(Docstring("here", kind, text)) == []
