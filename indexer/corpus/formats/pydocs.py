"""The documentation of Python's standard library as a corpus: text that every machine with Python has.

Modules written in Python are parsed, never run. Of those written in C, whose import does nothing but load them, the
docstrings are asked for. Private names and undocumented ones are left out.
"""

from __future__ import annotations

import ast
import inspect
import json
import sysconfig
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.indexer.corpus.formats.text import clean
from lsr.io.python_syntax import parse_module
from lsr.types import Document

_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "dist-packages", "ensurepip", "idlelib", "lib-dynload", "lib2to3", "pydoc_data"}
    | {"site-packages", "test", "tests", "turtledemo"}
)
# Private files that hold what public modules show.
_PUBLIC_NAMES = {
    "__future__": "__future__",
    "_collections_abc": "collections.abc",
    "_pydatetime": "datetime",
    "_pydecimal": "decimal",
    "_pyio": "io",
}
_COMPILED_ALONE = (
    "array atexit binascii builtins cmath errno fcntl gc grp itertools marshal math mmap pwd resource select sys syslog"
    " termios time unicodedata zlib"
)
# Public modules in Python, and the C module beneath that holds a part of what they show.
_COMPILED_BENEATH = {
    "bz2": "_bz2",
    "collections": "_collections",
    "contextvars": "_contextvars",
    "csv": "_csv",
    "functools": "_functools",
    "lzma": "_lzma",
    "operator": "_operator",
    "os": "posix",
    "pickle": "_pickle",
    "queue": "_queue",
    "random": "_random",
    "signal": "_signal",
    "socket": "_socket",
    "sqlite3": "_sqlite3",
    "ssl": "_ssl",
    "struct": "_struct",
    "weakref": "_weakref",
}


def read_python_documentation() -> Iterator[Document]:
    """Yield the running Python's own documentation, always in the same order, several thousand documents.

    Each has its dotted name as id and title, its signature and docstring as text, and a field `kind`: `module`,
    `class`, `function`, `method`, or `topic` for pydoc's chapters on the language (`topics.for`, …). Nothing of the
    library is executed but the import of modules written in C. Raises LsrError where the library's source is missing.
    """
    stdlib = Path(sysconfig.get_path("stdlib"))
    if not (stdlib / "json" / "__init__.py").is_file():
        raise LsrError(f"the source of Python's standard library is not at {stdlib}: use a Python that has it")
    seen: set[str] = set()
    for document in _all_documents(stdlib):
        if document.doc_id not in seen:  # a setter has the name of its property, a fallback that of what it replaces
            seen.add(document.doc_id)
            yield document


def write_jsonl(path: Path, *, without: tuple[str, ...] = ()) -> int:
    """Write the documentation as JSON Lines, ready to be indexed, and return how many documents it has.

    without: kinds that are left out.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for document in read_python_documentation():
            if document.fields["kind"] in without:
                continue
            record = {"_id": document.doc_id, "title": document.title, "text": document.text, **document.fields}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def _all_documents(stdlib: Path) -> Iterator[Document]:
    for module, path in sorted(_source_files(stdlib)):
        yield from _of_source(module, path)
    compiled = {name: name for name in _COMPILED_ALONE.split()} | _COMPILED_BENEATH
    for module in sorted(compiled):
        yield from _of_compiled(module, compiled[module])
    yield from _of_topics(stdlib / "pydoc_data" / "topics.py")


def _document(name: str, kind: str, signature: str, docstring: str | None) -> Iterator[Document]:
    """Yield a document, or none where the docstring is missing or empty."""
    text = inspect.cleandoc(docstring or "").strip()
    if text:
        yield Document(name, clean(f"{signature}\n\n{text}" if signature else text), name, {"kind": kind})


def _source_files(stdlib: Path) -> Iterator[tuple[str, Path]]:
    """Yield the public name of each module written in Python, and its file."""
    for path in stdlib.rglob("*.py"):
        parts = list(path.relative_to(stdlib).with_suffix("").parts)
        if _SKIPPED_FOLDERS.intersection(parts) or parts[0].startswith("config-"):
            continue
        if parts[-1] == "__init__":
            parts.pop()
        module = _PUBLIC_NAMES.get(".".join(parts), ".".join(parts))
        if module == "__future__" or not any(part.startswith("_") or "-" in part for part in module.split(".")):
            yield module, path


def _of_source(module: str, path: Path) -> Iterator[Document]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in the library's strings are not the user's concern
        tree = parse_module(path.read_bytes(), str(path))
    yield from _document(module, "module", "", ast.get_docstring(tree))
    for node in _definitions(tree.body):
        name = f"{module}.{node.name}"
        if not isinstance(node, ast.ClassDef):
            yield from _document(name, "function", _signature(node), ast.get_docstring(node))
            continue
        bases = ", ".join(map(ast.unparse, node.bases))
        header = f"class {node.name}({bases})" if bases else f"class {node.name}"
        yield from _document(name, "class", header, ast.get_docstring(node))
        for method in _definitions(node.body):
            if not isinstance(method, ast.ClassDef):
                docstring = ast.get_docstring(method)
                yield from _document(f"{name}.{method.name}", "method", _signature(method), docstring)


def _definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the public functions and classes of a body, those under an `if` or `try` included."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not node.name.startswith("_"):
                yield node
        elif isinstance(node, ast.If):
            yield from _definitions(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from _definitions([*node.body, *(s for h in node.handlers for s in h.body), *node.orelse])


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{start}{node.name}({ast.unparse(node.args)}){returns}"


def _of_compiled(module: str, imported: str) -> Iterator[Document]:
    """Yield what a C module documents, under the name of the public module that shows it."""
    try:
        loaded = import_module(imported)
    except ImportError:  # not every Python is built with every module
        return
    if module == imported:
        yield from _document(module, "module", "", loaded.__doc__)
    for name, current in sorted(vars(loaded).items()):
        value = vars(loaded).get(f"__{name}__", current)  # sys keeps so what a program may replace, as its hooks
        if name.startswith("_") or getattr(value, "__name__", "") != name:
            continue
        if inspect.isclass(value):
            yield from _document(f"{module}.{name}", "class", f"class {name}{_text_signature(value)}", value.__doc__)
            for inner, member in sorted(vars(value).items()):
                if not inner.startswith("_"):
                    signature = inner + _text_signature(member)
                    yield from _document(f"{module}.{name}.{inner}", "method", signature, _own_docstring(member))
        elif inspect.isroutine(value):
            yield from _document(f"{module}.{name}", "function", name + _text_signature(value), value.__doc__)


def _own_docstring(member: Any) -> str | None:
    documented = inspect.isroutine(member) or inspect.isdatadescriptor(member)
    return member.__doc__ if documented and isinstance(member.__doc__, str) else None


def _text_signature(value: Any) -> str:
    try:
        return str(inspect.signature(value)) if callable(value) else ""
    except (ValueError, TypeError):
        return ""


def _of_topics(path: Path) -> Iterator[Document]:
    """Yield pydoc's topics, whose file is one dictionary of texts."""
    if not path.is_file():
        return
    for node in parse_module(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for name, text in sorted(ast.literal_eval(node.value).items()):
                body = clean(text).strip()
                if body:
                    title = body.split("\n", 1)[0].strip()
                    yield Document(f"topics.{name}", body, title, {"kind": "topic"})
