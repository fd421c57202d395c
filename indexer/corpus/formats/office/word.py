"""Word documents, one document a file, by python-docx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.office.zipped import read_office
from lsr.indexer.corpus.intake import Intake, MissingLibraryError
from lsr.indexer.corpus.whole_files import Parts
from lsr.types import Document


def read_word(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a Word file is."""
    try:
        import docx
    except ImportError:
        raise MissingLibraryError("python-docx") from None
    yield from read_office(source, intake, "Word", lambda file: _parts(docx.Document(file)))


def _parts(document: Any) -> Parts:
    lines, heading = [], ""
    for block in document.iter_inner_content():
        rows = getattr(block, "rows", None)
        if rows is None:
            style = (block.style.name if block.style is not None else None) or ""
            if not heading and (style == "Title" or style.startswith("Heading")):
                heading = block.text.strip()
            lines.append(block.text)
        else:
            lines += [" ".join(dict.fromkeys(cell.text for cell in row.cells)) for row in rows]
    about = document.core_properties
    fields = {"author": about.author, "keywords": about.keywords, "language": about.language}
    if about.modified is not None:
        fields["modified"] = about.modified.isoformat()
    return Parts(
        (about.title or "").strip() or heading,
        "\n".join(lines),
        {name: value for name, value in fields.items() if value},
    )


FORMATS = (
    FileFormat(
        "word",
        (".docx",),
        read_word,
        title="the title of its properties, else the first heading",
        text="paragraphs and tables, in their order",
        fields="`author`, `keywords`, `language`, `modified`",
        library="docx",
    ),
)
