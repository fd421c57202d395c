"""Parts that a config names, with their descriptions and papers, read from their modules without importing them.

So that a list of them needs neither torch nor any time.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from lsr.io.python_syntax import parse_module

FOLDERS = {
    "losses": "register_loss",
    "regularisers": "register_regulariser",
    "teachers": "register_teacher",
    "evaluators": "register_evaluator",
    "trackers": "register_tracker",
}
"""Folders of the parts, with the decorators that register them."""
_PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}")


@dataclass(frozen=True, slots=True)
class Part:
    """Registered method. papers: arXiv numbers that its docstring names, or its module's."""

    name: str
    description: str
    papers: tuple[str, ...]


def parts(sort: str) -> list[Part]:
    """Return the parts of a sort, one of FOLDERS, by name."""
    found = []
    for path in sorted((Path(__file__).parent / sort).glob("*.py")):
        tree = parse_module(path.read_bytes())
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = _registered_name(node, FOLDERS[sort])
                if name is not None:
                    found.append(_part(name, ast.get_docstring(node) or "", ast.get_docstring(tree) or ""))
    return sorted(found, key=lambda part: part.name)


def _registered_name(node: ast.FunctionDef | ast.ClassDef, decorator: str) -> str | None:
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator:
            return str(ast.literal_eval(call.args[0]))
    return None


def _part(name: str, own: str, of_module: str) -> Part:
    described = " ".join(own.split("\n\n")[0].split()).removeprefix("Return ")
    papers = _PAPER.findall(own) or _PAPER.findall(of_module)
    return Part(name, described, tuple(dict.fromkeys(papers)))
