"""Jupyter notebooks, one document a file: the text of Markdown cells and the code of code cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.markdown import markdown_parts
from lsr.indexer.corpus.intake import FileBrokenError, Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document


def notebook_parts(source: str) -> Parts:
    """Return title, text and fields of a notebook. Raises FileBrokenError for what is none."""
    try:
        notebook = json.loads(source) if source.strip() else {}
    except (ValueError, RecursionError) as error:
        raise FileBrokenError(f"not a notebook: {error}") from None
    cells = _cells(notebook)
    if cells is None:
        raise FileBrokenError("not a notebook: it has no cells")
    title = ""
    texts = []
    for cell in cells:
        kind, text = _cell(cell)
        if kind == "markdown":
            parts = markdown_parts(text)
            text = parts.text.strip("\n")
            if parts.title and title:
                text = text if text.startswith(parts.title) else f"{parts.title}\n\n{text}"
            title = title or parts.title
        if text.strip():
            texts.append(text)
    language = _at(notebook, "metadata", "kernelspec", "language") or _at(notebook, "metadata", "language_info", "name")
    return Parts(title, "\n\n".join(texts), {"language": language} if isinstance(language, str) else {})


def cell_texts(source: str) -> list[str]:
    """Return the source of each cell of a notebook, in order; nothing where it is none."""
    try:
        cells = _cells(json.loads(source))
    except (ValueError, RecursionError):
        return []
    return [_cell(cell)[1] for cell in cells or []]


def _cells(notebook: Any) -> list[Any] | None:
    if notebook == {}:
        return []
    cells = _at(notebook, "cells")
    if cells is None:  # format 3 keeps them in worksheets
        sheets = _at(notebook, "worksheets")
        if isinstance(sheets, list):
            cells = [cell for sheet in sheets for cell in _at(sheet, "cells") or []]
    return cells if isinstance(cells, list) else None


def _cell(cell: Any) -> tuple[str, str]:
    """Return kind and text of a cell."""
    source = _at(cell, "source") or _at(cell, "input") or ""
    lines = source if isinstance(source, list) else [source]
    return str(_at(cell, "cell_type")), "".join(line for line in lines if isinstance(line, str))


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read_notebook(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a notebook is."""
    yield whole_document(source, intake, notebook_parts(decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "notebook",
        (".ipynb",),
        read_notebook,
        title="the first heading",
        text="Markdown cells without markup, and code; no outputs",
        fields="`language`",
    ),
)
