"""Test collections with natural labels that no bundled model saw in training: docstrings, and manual pages.

`python -m lsr.eval.bench.corpora.unseen FOLDER` writes BEIR folders for `lsr eval`. The first line of a docstring, or
the line that names a manual page, is a query; the rest is its document. So there is one relevant document a query, and
its query is not in it. Queries that two documents have are left out.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import importlib.util
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsr.errors import LsrError
from lsr.io.python_syntax import parse_module

PACKAGES = ("numpy", "scipy", "torch")
SECTIONS = (1, 5, 7, 8)
FEWEST_WORDS, QUERY_WORDS = 60, (5, 25)
LARGEST_SOURCE = 2_000_000
_NAME = re.compile(r'^\.S[Hh] "?NAME"?\s*\n(.*?)(?=^\.S[Hh] )', re.MULTILINE | re.DOTALL)
_FONT = re.compile(r"\\f(?:\[[^]]*\]|\([A-Za-z]{2}|.)|\\s[-+]?\d|\\[&|^/,%:]")
_ESCAPED = {r"\-": "-", r"\(aq": "'", r"\(cq": "'", r"\(oq": "'", r"\(lq": '"', r"\(rq": '"', r"\(em": "-", r"\(bu": "",
            r"\e": "\\", r"\ ": " ", r"\~": " "}  # fmt: skip
_SHOWN = (".B", ".I", ".BR", ".IR", ".BI", ".IB", ".RB", ".RI", ".SH", ".SS", ".TP", ".IP", ".SM")

Pairs = Iterator[tuple[str, str]]


def docstrings(package: str) -> Pairs:
    """Yield first lines and the rests of the docstrings of a package's public functions and classes.

    Nothing is imported. Raises LsrError for a package that isn't installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise LsrError(f"no package {package!r} is installed: leave it out of --packages")
    for path in sorted(Path(found.origin).parent.rglob("*.py")):
        if "tests" in path.parts or path.stat().st_size > LARGEST_SOURCE:
            continue
        try:
            tree = parse_module(path.read_bytes())
        except SyntaxError:  # of a later Python than this one
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                first, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
                yield _line(first), _line(rest)


def manuals(folder: Path, sections: Iterable[int] = SECTIONS) -> Pairs:
    """Yield what manual pages say they are, and the rests of the pages. folder: has man1, man5, …

    The pages of gcloud's commands are left out: there are thousands, nearly all alike.
    """
    for section in sections:
        for path in sorted((folder / f"man{section}").glob("*.gz")):
            if path.is_file() and not path.name.startswith("gcloud"):
                yield manual(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))


def manual(source: str) -> tuple[str, str]:
    """Return the description that a manual page's NAME has, and its other text; empty where it has none."""
    found = _NAME.search(source)
    if found is None:
        return "", ""
    _, dash, description = _text(found[1]).partition(" - ")
    return (_line(description) if dash else ""), _line(_text(source[found.end() :]))


def _text(source: str) -> str:
    """Return the text of troff source: requests and comments left out, fonts and escapes resolved."""
    lines = []
    for line in source.splitlines():
        shown = line
        if line.startswith((".", "'")):
            request, _, shown = line.partition(" ")
            if request not in _SHOWN:
                continue
            shown = shown.replace('"', "")
        lines.append(shown)
    text = _FONT.sub("", "\n".join(lines))
    for escape, character in _ESCAPED.items():
        text = text.replace(escape, character)
    return text


def _line(text: str) -> str:
    return " ".join(text.split())


def write_collection(pairs: Iterable[tuple[str, str]], folder: Path, *, n_queries: int, seed: int = 0) -> int:
    """Write a BEIR folder of queries and documents; return the number of documents.

    n_queries: the most, drawn at random. Raises LsrError where no pair has a query and a document of some length.
    """
    fewest, most = QUERY_WORDS
    documents: dict[str, str] = {}
    for query, text in pairs:
        if fewest <= len(query.split()) <= most and len(text.split()) >= FEWEST_WORDS:
            documents.setdefault(text, query)
    if not documents:
        raise LsrError(f"{folder}: there is no pair of a query and a document of {FEWEST_WORDS} words or more")
    often = Counter(documents.values())
    numbers = [n for n, query in enumerate(documents.values()) if often[query] == 1]
    chosen = sorted(random.Random(seed).sample(numbers, min(n_queries, len(numbers))))
    queries = list(documents.values())
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl", ({"_id": f"d{n}", "text": text} for n, text in enumerate(documents)))
    _write(folder / "queries.jsonl", ({"_id": f"q{n}", "text": queries[n]} for n in chosen))
    lines = "".join(f"q{n}\td{n}\t1\n" for n in chosen)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}", encoding="utf-8")
    return len(documents)


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    """Write the collections that are wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", nargs="*", default=PACKAGES, help="whose docstrings are read")
    parser.add_argument("--manuals", type=Path, metavar="FOLDER", help="has man1, man5, …, such as /usr/share/man")
    parser.add_argument("--queries", type=int, default=400, metavar="N", help="the most of each (default: 400)")
    args = parser.parse_args()
    wanted: dict[str, Iterable[tuple[str, str]]] = {}
    if args.packages:
        wanted["docstrings"] = (pair for package in args.packages for pair in docstrings(package))
    if args.manuals is not None:
        wanted["manuals"] = manuals(args.manuals)
    for name, pairs in wanted.items():
        n = write_collection(pairs, args.folder / name, n_queries=args.queries)
        print(f"{n:,} documents in {args.folder / name}")  # noqa: T201


if __name__ == "__main__":
    main()
